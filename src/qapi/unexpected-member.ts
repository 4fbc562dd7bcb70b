// Of several unexpected members, which one is named? The first in the hash table into which QEMU puts an object's members
// and from which it takes those that it knows: GLib's GHashTable, that is open addressing in a table of 2^n places with
// tombstones, whose order is a matter of hashes alone. Heard from QEMU 7.2 and 10.0.
import { inQemuOrder, modifiedUtf8 } from '../json/index.ts';

/** For each size 2^n the prime by which a hash is reduced. */
const PRIMES = [1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039];
const SMALLEST = 3;
/** Of more members the first is named: names with equal hashes shall cost nobody time. */
const MOST_MEMBERS = 1000;

const UNUSED = undefined;
const TOMBSTONE = null;
type Place = { readonly name: string; readonly hash: number } | typeof UNUSED | typeof TOMBSTONE;

/**
 * The unexpected member that QEMU's error is about.
 *
 * @param given all members, in the order in which they were sent
 * @param known those that were expected, in the order in which they were visited: fewer than `given`
 */
export function unexpectedMember(given: Iterable<string>, known: readonly string[]): string {
  const names = [...given];
  if (names.length > MOST_MEMBERS) return names.find((name) => !known.includes(name))!;
  const table = new NameTable();
  for (const name of inQemuOrder(names)) table.insert(name);
  for (const name of known) table.remove(name);
  return table.first();
}

class NameTable {
  #power = SMALLEST;
  #places: Place[] = Array.from({ length: 1 << SMALLEST }, () => UNUSED);
  #names = 0;
  /** With tombstones. */
  #occupied = 0;

  insert(name: string): void {
    const hash = hashOf(name);
    const at = this.#find((place) => place === UNUSED, hash);
    this.#places[at] = { name, hash };
    this.#names++;
    this.#occupied++;
    this.#resizeIfNeeded();
  }

  remove(name: string): void {
    const at = this.#find((place) => place === UNUSED || place?.name === name, hashOf(name));
    if (this.#places[at] === UNUSED) return;
    this.#places[at] = TOMBSTONE;
    this.#names--;
    this.#resizeIfNeeded();
  }

  first(): string {
    for (const place of this.#places) if (place) return place.name;
    throw new Error('no member is unexpected');
  }

  /** Looks at place after place, the distance growing by one, beginning with that of the hash. */
  #find(wanted: (place: Place) => boolean, hash: number): number {
    let at = (Math.imul(hash, 11) >>> 0) % PRIMES[this.#power]!;
    for (let step = 1; !wanted(this.#places[at]); step++) at = (at + step) & (this.#places.length - 1);
    return at;
  }

  #resizeIfNeeded(): void {
    const size = this.#places.length;
    const sparse = size > this.#names * 4 && this.#power > SMALLEST;
    if (sparse || size <= this.#occupied + Math.floor(this.#occupied / 16)) this.#resize();
  }

  /** Entries are moved from the lowest place on; one that finds its place taken by one not moved yet swaps with it. */
  #resize(): void {
    const old = this.#places;
    let bits = 0;
    for (let count = Math.floor(this.#names * 1.333); count > 0; count >>= 1) bits++;
    this.#power = Math.max(bits, SMALLEST);
    const size = 1 << this.#power;
    this.#places = Array.from({ length: Math.max(size, old.length) }, (_, at) => old[at] ?? UNUSED);
    const moved = new Set<number>();
    for (let from = 0; from < old.length; from++) {
      if (moved.has(from)) continue;
      let entry = this.#places[from];
      this.#places[from] = UNUSED;
      while (entry) {
        let at = (Math.imul(entry.hash, 11) >>> 0) % PRIMES[this.#power]!;
        for (let step = 1; moved.has(at); step++) at = (at + step) & (size - 1);
        moved.add(at);
        const replaced: Place = this.#places[at];
        this.#places[at] = entry;
        entry = replaced;
      }
    }
    this.#places.length = size;
    this.#occupied = this.#names;
  }
}

/** Bernstein's hash over signed bytes; 0 and 1 mean something else in the table. */
function hashOf(name: string): number {
  let hash = 5381;
  for (const byte of modifiedUtf8(name)) hash = (Math.imul(hash, 33) + ((byte << 24) >> 24)) >>> 0;
  return Math.max(hash, 2);
}
