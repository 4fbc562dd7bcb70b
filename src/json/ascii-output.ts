// Where is printed text gathered? In bytes: a large reply made of thousands of small strings would cost more to join
// than to print. Everything is ASCII, with QEMU's escapes.
import { isCharacter, REPLACEMENT } from './modified-utf8.ts';

const QUOTE = 0x22;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** What a code unit below 0x80 is printed as: itself (1), `\` and this letter, or `\uXXXX` (0). */
const PLAIN = 1;
const SHORT = new Uint8Array(128).fill(PLAIN, 0x20, 0x7f);
for (const [unit, letter] of ['""', '\\\\', '\bb', '\ff', '\nn', '\rr', '\tt'] as unknown as [string, string][]) {
  SHORT[unit.charCodeAt(0)] = letter.charCodeAt(0);
}
const HEX = Buffer.from('0123456789ABCDEF');
/** The most bytes that a code unit takes: `\uXXXX`. */
const LONGEST_ESCAPE = 6;

const FIRST_SIZE = 4096;
/** A larger buffer is given back after use. */
const KEPT_SIZE = 4 * 1024 * 1024;
/** Short texts are cheaper to copy here than through a call out of JavaScript. */
const SHORT_TEXT = 64;

/** A growing text of ASCII bytes. */
export class AsciiOutput {
  #bytes = Buffer.allocUnsafeSlow(FIRST_SIZE);
  #used = 0;

  /** The text; the output is empty after it. */
  take(): string {
    const text = this.#bytes.toString('latin1', 0, this.#used);
    this.clear();
    return text;
  }

  clear(): void {
    this.#used = 0;
    if (this.#bytes.length > KEPT_SIZE) this.#bytes = Buffer.allocUnsafeSlow(FIRST_SIZE);
  }

  byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#used++] = byte;
  }

  /** Bytes that are ASCII. */
  copy(from: Uint8Array): void {
    this.#reserve(from.length);
    const bytes = this.#bytes;
    let at = this.#used;
    for (let i = 0; i < from.length; i++) bytes[at++] = from[i] as number;
    this.#used = at;
  }

  /** A text that is ASCII and is printed as it is. */
  ascii(text: string): void {
    const { length } = text;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#used;
    if (length <= SHORT_TEXT) for (let i = 0; i < length; i++) bytes[at + i] = text.charCodeAt(i);
    else bytes.write(text, at, 'latin1');
    this.#used = at + length;
  }

  /** An integer that is safe. */
  integer(value: number): void {
    if (value < 0 || value > 0x7fffffff) return this.ascii(String(value));
    this.#reserve(10);
    const bytes = this.#bytes;
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits++;
    let rest = value;
    for (let at = this.#used + digits - 1; at >= this.#used; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.#used += digits;
  }

  /** A string in quotes. What is no character (a lone surrogate, a noncharacter) is printed as U+FFFD. */
  quoted(text: string): void {
    const { length } = text;
    this.#reserve(length + 2);
    const bytes = this.#bytes;
    let at = this.#used;
    bytes[at++] = QUOTE;
    let i = 0;
    if (length <= SHORT_TEXT) {
      let unit = 0;
      while (i < length && (unit = text.charCodeAt(i)) < 0x80 && SHORT[unit] === PLAIN) {
        bytes[at++] = unit;
        i++;
      }
    } else if (!NEEDS_ESCAPE.test(text)) {
      at += bytes.write(text, at, 'latin1');
      i = length;
    }
    this.#used = at;
    if (i < length) this.#escape(text, i);
    this.byte(QUOTE);
  }

  /** The rest of a string from `start`, with escapes. */
  #escape(text: string, start: number): void {
    for (let i = start; i < text.length; i++) {
      this.#reserve(2 * LONGEST_ESCAPE);
      const unit = text.charCodeAt(i);
      const short = unit < 0x80 ? (SHORT[unit] as number) : 0;
      if (short === PLAIN) {
        this.#bytes[this.#used++] = unit;
      } else if (short !== 0) {
        this.#bytes[this.#used++] = BACKSLASH;
        this.#bytes[this.#used++] = short;
      } else {
        const point = text.codePointAt(i) as number;
        this.#character(isCharacter(point) ? point : REPLACEMENT);
        if (point > 0xffff) i++;
      }
    }
  }

  #character(point: number): void {
    if (point <= 0xffff) return this.#unit(point);
    this.#unit(0xd7c0 + (point >> 10));
    this.#unit(0xdc00 + (point & 0x3ff));
  }

  #unit(unit: number): void {
    const bytes = this.#bytes;
    const at = this.#used;
    bytes[at] = BACKSLASH;
    bytes[at + 1] = LOWER_U;
    bytes[at + 2] = HEX[unit >> 12] as number;
    bytes[at + 3] = HEX[(unit >> 8) & 15] as number;
    bytes[at + 4] = HEX[(unit >> 4) & 15] as number;
    bytes[at + 5] = HEX[unit & 15] as number;
    this.#used = at + LONGEST_ESCAPE;
  }

  #reserve(count: number): void {
    const needed = this.#used + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}

/** Finds what is not printed as it is. */
export const NEEDS_ESCAPE = /[^ !#-[\]-~]/;
