// What does the text of one token stand for: a string, a number, a word?
import { sliceAscii } from './ascii.ts';
import { codePoint, isCharacter, lenientText, sequenceLength, TextBuilder } from './modified-utf8.ts';
import { JsonDouble } from './value.ts';

/** A token that is lexically fine and means nothing; the text is QEMU's, without the prefix. */
export class LiteralFault {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** What `\` and a byte stand for; 0 where nothing (`\u` is not among them). */
const ESCAPES = new Uint8Array(256);
for (const [escape, meaning] of ['""', "''", '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  ESCAPES[(escape as string).charCodeAt(0)] = (meaning as string).charCodeAt(0);
}

const INVALID_UTF8 = new LiteralFault('invalid UTF-8 sequence in string');
const INVALID_ESCAPE = new LiteralFault('invalid escape sequence in string');

const builder = new TextBuilder();

/** The string of a string token, whose quotes are at `start` and `end - 1`. */
export function stringLiteral(bytes: Uint8Array, start: number, end: number): string | LiteralFault {
  if (isPlain(bytes, start + 1, end - 1)) return sliceAscii(bytes, start + 1, end - 1);
  const fault = unquote(bytes, start + 1, end - 1);
  const text = builder.take();
  return fault ?? text;
}

/** Whether every byte stands for itself, as in nearly all strings. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x80 || byte === BACKSLASH) return false;
  }
  return true;
}

function unquote(bytes: Uint8Array, start: number, end: number): LiteralFault | undefined {
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    let point: number;
    let length: number;
    if (byte < 0x80 && byte !== BACKSLASH) {
      point = byte;
      length = 1;
    } else if (byte >= 0x80) {
      length = sequenceLength(bytes, at, end);
      point = codePoint(bytes, at, length);
      if (point < 0) return INVALID_UTF8;
    } else if (bytes[at + 1] === LOWER_U) {
      length = isPair(bytes, at) ? 12 : 6;
      point = unicodeEscape(bytes, at, length);
      // The text of a bad one is cut where the token ends, which is behind its closing quote.
      if (point < 0) return notACharacter(lenientText(bytes, at, Math.min(at + length, end + 1)));
    } else {
      length = 2;
      point = ESCAPES[bytes[at + 1] as number] as number;
      if (point === 0) return INVALID_ESCAPE;
    }
    builder.add(point);
    at += length;
  }
  return undefined;
}

/** Whether a leading surrogate and a trailing one stand at `at`, both as escapes. */
function isPair(bytes: Uint8Array, at: number): boolean {
  if (!isLeading(hex4(bytes, at + 2)) || bytes[at + 6] !== BACKSLASH || bytes[at + 7] !== LOWER_U) return false;
  return (hex4(bytes, at + 8) & 0xfc00) === 0xdc00;
}

function isLeading(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

/** The code point of one escape (`length` 6) or of a pair of them, or -1 where it is no character. */
function unicodeEscape(bytes: Uint8Array, at: number, length: number): number {
  let point = hex4(bytes, at + 2);
  if (length === 12) point = 0x10000 + ((point & 0x3ff) << 10) + (hex4(bytes, at + 8) & 0x3ff);
  return point >= 0 && isCharacter(point) ? point : -1;
}

/** Four hexadecimal digits, or -1. What follows a string token is its quote, so this never reads on behind it. */
function hex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = bytes[i] as number;
    const letter = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = (value << 4) | (byte - 0x30);
    else if (letter >= 0x61 && letter <= 0x66) value = (value << 4) | (letter - 0x57);
    else return -1;
  }
  return value;
}

function notACharacter(sequence: string): LiteralFault {
  return new LiteralFault(`${sequence} is not a valid Unicode character`);
}

const LARGEST_UINT64 = (1n << 64n) - 1n;
const SMALLEST_INT64 = -(1n << 63n);
/** No more characters than this can be in range, sign included; longer ones need not meet BigInt. */
const LONGEST_INTEGER = 20;

/** The value of an integer token: exact within int64 and uint64, else a double. */
export function integerLiteral(bytes: Uint8Array, start: number, end: number): number | bigint | JsonDouble {
  const text = sliceAscii(bytes, start, end);
  const near = Number(text);
  if (Number.isSafeInteger(near)) return near === 0 ? 0 : near; // `-0` is the integer 0
  if (text.length <= LONGEST_INTEGER) {
    const exact = BigInt(text);
    if (exact >= SMALLEST_INT64 && exact <= LARGEST_UINT64) return exact;
  }
  return new JsonDouble(near);
}

/** The value of a token with a point or an exponent. */
export function floatLiteral(bytes: Uint8Array, start: number, end: number): JsonDouble {
  return new JsonDouble(Number(sliceAscii(bytes, start, end)));
}

/** The value of a word. */
export function keywordLiteral(bytes: Uint8Array, start: number, end: number): null | boolean | LiteralFault {
  const word = sliceAscii(bytes, start, end);
  if (word === 'true') return true;
  if (word === 'false') return false;
  if (word === 'null') return null;
  return new LiteralFault(`invalid keyword '${word}'`);
}
