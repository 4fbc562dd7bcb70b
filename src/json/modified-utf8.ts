// Which characters do bytes stand for? Modified UTF-8 as QEMU reads it: U+0000 is the two bytes C0 80, and surrogates,
// noncharacters and overlong forms are no characters.

/** What stands in a text for a sequence that is no character. */
export const REPLACEMENT = 0xfffd;

/** The length of the sequence at `at`: its lead byte and as many of the continuation bytes it calls for as are there. */
export function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] as number;
  const due = at + dueLength(lead);
  let next = at + 1;
  while (next < due && next < end && ((bytes[next] as number) & 0xc0) === 0x80) next++;
  return next - at;
}

/** The code point of the `length` bytes at `at` (from {@link sequenceLength}), or -1 where they are no character. */
export function codePoint(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return lead;
  // Five and six bytes can only be overlong or beyond U+10FFFF.
  if (lead < 0xc0 || lead >= 0xf8 || length !== dueLength(lead)) return -1;
  let point = lead & (0x7f >> length);
  for (let i = 1; i < length; i++) point = (point << 6) | ((bytes[at + i] as number) & 0x3f);
  const smallest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  if (point < smallest) return point === 0 && length === 2 ? 0 : -1;
  return isCharacter(point) ? point : -1;
}

/** Whether a code point may stand in a string: neither a surrogate nor a noncharacter, and at most U+10FFFF. */
export function isCharacter(point: number): boolean {
  if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  return !((point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) === 0xfffe);
}

function dueLength(lead: number): number {
  if (lead < 0xc0 || lead >= 0xfe) return 1;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  if (lead < 0xf8) return 4;
  return lead < 0xfc ? 5 : 6;
}

/** Gathers a text of UTF-16 code units without a string object per unit. */
export class TextBuilder {
  #text = '';
  readonly #units = new Uint16Array(2048);
  #used = 0;

  /** Appends a code point. */
  add(point: number): void {
    if (this.#used > this.#units.length - 2) this.#flush();
    if (point > 0xffff) {
      this.#units[this.#used++] = 0xd7c0 + (point >> 10);
      this.#units[this.#used++] = 0xdc00 + (point & 0x3ff);
    } else {
      this.#units[this.#used++] = point;
    }
  }

  /** The text so far; the builder is empty after it. */
  take(): string {
    this.#flush();
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #flush(): void {
    // A typed array does where apply wants an array.
    const units = this.#units.subarray(0, this.#used) as unknown as number[];
    this.#text += String.fromCharCode.apply(null, units);
    this.#used = 0;
  }
}

const builder = new TextBuilder();

/** Bytes of a peer as text for an error message: every sequence that is no character becomes U+FFFD, and a NUL ends it. */
export function lenientText(bytes: Uint8Array, start: number, end: number): string {
  let at = start;
  while (at < end && bytes[at] !== 0) {
    const length = sequenceLength(bytes, at, end);
    const point = codePoint(bytes, at, length);
    builder.add(point < 0 ? REPLACEMENT : point);
    at += length;
  }
  return builder.take();
}
