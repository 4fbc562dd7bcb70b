// In which order does QEMU list children and properties? It keeps them in GLib's hash tables and prepends what it meets
// to the list: so the order is that of the table, reversed. The table is kept here as GLib 2.60 and later keep theirs:
// hash of the name, open addressing with a growing step, tombstones, sizes that are powers of two. Checked against the
// recorded transcripts `objects`.

const UNUSED = 0;
const TOMBSTONE = 1;
const SMALLEST_SHIFT = 3;
/** The largest prime below each power of two. */
const primes = [1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];

interface Slot {
  hash: number;
  name: string;
}

/** Names in the order of a hash table; what they stand for is kept elsewhere. */
export class GlibOrder {
  #shift = SMALLEST_SHIFT;
  #slots: Slot[] = emptySlots(SMALLEST_SHIFT);
  #names = 0;
  /** Slots that hold a name or did. */
  #occupied = 0;

  constructor(names: Iterable<string> = []) {
    for (const name of names) this.add(name);
  }

  /** Adds a name that is not there. */
  add(name: string): void {
    const hash = hashOf(name);
    const slot = this.#freeSlot(hash);
    if (slot.hash === UNUSED) this.#occupied++;
    Object.assign(slot, { hash, name });
    this.#names++;
    this.#maybeResize();
  }

  delete(name: string): void {
    const slot = this.#slots.find((one) => one.hash > TOMBSTONE && one.name === name);
    if (slot === undefined) return;
    Object.assign(slot, { hash: TOMBSTONE, name: '' });
    this.#names--;
    this.#maybeResize();
  }

  /** As QEMU lists them: the table from its end. */
  listed(): string[] {
    return this.#slots
      .filter(({ hash }) => hash > TOMBSTONE)
      .map(({ name }) => name)
      .reverse();
  }

  #freeSlot(hash: number): Slot {
    let index = this.#homeOf(hash);
    let tombstone: Slot | undefined;
    for (let step = 1; this.#slots[index]!.hash !== UNUSED; step++) {
      if (this.#slots[index]!.hash === TOMBSTONE) tombstone ??= this.#slots[index];
      index = (index + step) % this.#slots.length;
    }
    return tombstone ?? this.#slots[index]!;
  }

  #homeOf(hash: number): number {
    return ((hash * 11) % 2 ** 32) % primes[this.#shift]!;
  }

  #maybeResize(): void {
    const size = this.#slots.length;
    const sparse = size > this.#names * 4 && size > 1 << SMALLEST_SHIFT;
    const full = size <= this.#occupied + Math.floor(this.#occupied / 16);
    if (sparse || full) this.#resize(Math.max(SMALLEST_SHIFT, bitLength(Math.trunc(this.#names * 1.333))));
  }

  /** In place: a name whose new slot is still held by an old one drives that out, which goes on to its own. */
  #resize(shift: number): void {
    const oldSize = this.#slots.length;
    const size = 1 << shift;
    this.#shift = shift;
    while (this.#slots.length < size) this.#slots.push({ hash: UNUSED, name: '' });
    const settled = new Set<number>();
    const slots = this.#slots;
    for (let index = 0; index < oldSize; index++) {
      if (slots[index]!.hash <= TOMBSTONE) {
        slots[index] = { hash: UNUSED, name: '' };
      } else if (!settled.has(index)) {
        let moving = slots[index]!;
        slots[index] = { hash: UNUSED, name: '' };
        while (moving.hash > TOMBSTONE) {
          const place = this.#unsettled(moving.hash, size, settled);
          [moving, slots[place]] = [slots[place]!, moving];
        }
      }
    }
    slots.length = size;
    this.#occupied = this.#names;
  }

  #unsettled(hash: number, size: number, settled: Set<number>): number {
    let index = this.#homeOf(hash);
    for (let step = 1; settled.has(index); step++) index = (index + step) % size;
    settled.add(index);
    return index;
  }
}

function emptySlots(shift: number): Slot[] {
  return Array.from({ length: 1 << shift }, () => ({ hash: UNUSED, name: '' }));
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}

/** Bernstein's hash, from 5381, over the name's bytes; 0 and 1 have another meaning. */
function hashOf(name: string): number {
  let hash = 5381;
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 33) + (byte > 127 ? byte - 256 : byte)) >>> 0;
  return Math.max(2, hash);
}
