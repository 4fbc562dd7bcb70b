// How is a string printed? In pure ASCII, with QEMU's escapes.
import { isCharacter, REPLACEMENT } from './modified-utf8.ts';

/** A string in quotes. What is no character (a lone surrogate, a noncharacter) is printed as U+FFFD. */
export function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${escape(text)}"` : `"${text}"`;
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/;

const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
/** The letter of each two-character escape, by code unit. */
const SHORT_ESCAPES = new Map<number, number>(
  ['""', '\\\\', '\bb', '\ff', '\nn', '\rr', '\tt'].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]),
);
const HEX = Buffer.from('0123456789ABCDEF');

/** Long strings are escaped piece by piece; a unit takes six bytes at most. */
const PIECE = 4096;
const scratch = Buffer.alloc(6 * PIECE);

function escape(text: string): string {
  let escaped = '';
  for (let start = 0; start < text.length;) {
    // A surrogate pair may not be cut.
    const end = start + PIECE < text.length && isLeading(text, start + PIECE - 1) ? start + PIECE - 1 : start + PIECE;
    escaped += escapePiece(text, start, Math.min(end, text.length));
    start = end;
  }
  return escaped;
}

function escapePiece(text: string, start: number, end: number): string {
  let used = 0;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    const letter = SHORT_ESCAPES.get(unit);
    if (letter !== undefined) {
      scratch[used++] = BACKSLASH;
      scratch[used++] = letter;
    } else if (unit >= 0x20 && unit < 0x7f) {
      scratch[used++] = unit;
    } else {
      const point = text.codePointAt(i) as number;
      if (!isCharacter(point)) used = hexEscape(REPLACEMENT, used);
      else if (point <= 0xffff) used = hexEscape(point, used);
      else used = hexEscape(0xdc00 + (point & 0x3ff), hexEscape(0xd7c0 + (point >> 10), used));
      if (point > 0xffff) i++;
    }
  }
  return scratch.toString('latin1', 0, used);
}

function hexEscape(unit: number, at: number): number {
  scratch[at] = BACKSLASH;
  scratch[at + 1] = LOWER_U;
  scratch[at + 2] = HEX[unit >> 12] as number;
  scratch[at + 3] = HEX[(unit >> 8) & 15] as number;
  scratch[at + 4] = HEX[(unit >> 4) & 15] as number;
  scratch[at + 5] = HEX[unit & 15] as number;
  return at + 6;
}

function isLeading(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800;
}
