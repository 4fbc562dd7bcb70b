// Which bytes are a token? A state machine over bytes that stops and resumes anywhere.
//
// The grammar is the table NEXT: state × byte class → state or verdict. It alone decides; #scanString and
// #scanInteger only hurry along paths that the table would take too. A token that a chunk cuts off is
// copied, since the chunk is only lent.

// States. START is between tokens; RECOVERY skips bytes after an error up to one where a value may begin.
const START = 0;
const RECOVERY = 1;
const DOUBLE_QUOTED = 2;
const DOUBLE_ESCAPE = 3;
const SINGLE_QUOTED = 4;
const SINGLE_ESCAPE = 5;
const SIGN = 6;
const ZERO = 7;
const DIGITS = 8;
const POINT = 9;
const FRACTION = 10;
const EXPONENT = 11;
const EXPONENT_SIGN = 12;
const EXPONENT_DIGITS = 13;
const WORD = 14;
const STATES = 15;

// Verdicts, in the same table. All but the first two leave the byte to what comes next.
const STRING_ENDS = 16;
const STRAY = 17;
const INTEGER_ENDS = 18;
const FLOAT_ENDS = 19;
const WORD_ENDS = 20;
const RESTART = 21;

// Byte classes.
// 0 is every other byte: it only ever stands in strings.
const CONTROL = 1; // below 0x20 but white space; 0xFE and 0xFF, which are in no UTF-8
const TAB = 2;
const NEWLINE = 3; // LF and CR
const SPACE = 4;
const STRUCTURE = 5;
const DOUBLE_QUOTE = 6;
const SINGLE_QUOTE = 7;
const BACKSLASH = 8;
const MINUS = 9;
const PLUS = 10;
const DOT = 11;
const DIGIT_ZERO = 12;
const DIGIT = 13; // 1 to 9
const LOWER = 14; // a to z but e
const LOWER_E = 15;
const UPPER_E = 16;
const CLASSES = 32; // 17 in use; a power of two indexes faster

const CLASS = new Uint8Array(256);
CLASS.fill(CONTROL, 0, 0x20).fill(CONTROL, 0xfe).fill(DIGIT, 0x31, 0x3a).fill(LOWER, 0x61, 0x7b);
for (const [text, byteClass] of [
  ['\t', TAB],
  ['\r\n', NEWLINE],
  [' ', SPACE],
  ['{}[]:,', STRUCTURE],
  ['"', DOUBLE_QUOTE],
  ["'", SINGLE_QUOTE],
  ['\\', BACKSLASH],
  ['-', MINUS],
  ['+', PLUS],
  ['.', DOT],
  ['0', DIGIT_ZERO],
  ['e', LOWER_E],
  ['E', UPPER_E],
] as const) {
  for (const character of text) CLASS[character.charCodeAt(0)] = byteClass;
}

/** Bytes that stand for themselves in either kind of string: printable ASCII without quotes and backslash, and DEL. */
const PLAIN = new Uint8Array(256);
for (let byte = 0x20; byte < 0x80; byte++) {
  const byteClass = CLASS[byte];
  PLAIN[byte] = byteClass === DOUBLE_QUOTE || byteClass === SINGLE_QUOTE || byteClass === BACKSLASH ? 0 : 1;
}

const NEXT = new Uint8Array(STATES * CLASSES);
row(START, STRAY, [DOUBLE_QUOTED, DOUBLE_QUOTE], [SINGLE_QUOTED, SINGLE_QUOTE], [SIGN, MINUS]);
row(START, undefined, [ZERO, DIGIT_ZERO], [DIGITS, DIGIT], [WORD, LOWER, LOWER_E]);
row(RECOVERY, RECOVERY, [RESTART, CONTROL, NEWLINE, STRUCTURE]);
row(DOUBLE_QUOTED, DOUBLE_QUOTED, [STRING_ENDS, DOUBLE_QUOTE], [DOUBLE_ESCAPE, BACKSLASH]);
row(DOUBLE_QUOTED, undefined, [STRAY, CONTROL, TAB, NEWLINE]);
row(DOUBLE_ESCAPE, DOUBLE_QUOTED, [STRAY, CONTROL, TAB, NEWLINE]);
row(SINGLE_QUOTED, SINGLE_QUOTED, [STRING_ENDS, SINGLE_QUOTE], [SINGLE_ESCAPE, BACKSLASH]);
row(SINGLE_QUOTED, undefined, [STRAY, CONTROL, TAB, NEWLINE]);
row(SINGLE_ESCAPE, SINGLE_QUOTED, [STRAY, CONTROL, TAB, NEWLINE]);
row(SIGN, STRAY, [ZERO, DIGIT_ZERO], [DIGITS, DIGIT]);
row(ZERO, INTEGER_ENDS, [STRAY, DIGIT_ZERO, DIGIT], [POINT, DOT]); // no exponent: `0e1` is 0, then a word
row(DIGITS, INTEGER_ENDS, [DIGITS, DIGIT_ZERO, DIGIT], [POINT, DOT], [EXPONENT, LOWER_E, UPPER_E]);
row(POINT, STRAY, [FRACTION, DIGIT_ZERO, DIGIT]);
row(FRACTION, FLOAT_ENDS, [FRACTION, DIGIT_ZERO, DIGIT], [EXPONENT, LOWER_E, UPPER_E]);
row(EXPONENT, STRAY, [EXPONENT_SIGN, MINUS, PLUS], [EXPONENT_DIGITS, DIGIT_ZERO, DIGIT]);
row(EXPONENT_SIGN, STRAY, [EXPONENT_DIGITS, DIGIT_ZERO, DIGIT]);
row(EXPONENT_DIGITS, FLOAT_ENDS, [EXPONENT_DIGITS, DIGIT_ZERO, DIGIT]);
row(WORD, WORD_ENDS, [WORD, LOWER, LOWER_E]);

function row(state: number, otherwise: number | undefined, ...cells: [next: number, ...classes: number[]][]): void {
  const from = state * CLASSES;
  if (otherwise !== undefined) NEXT.fill(otherwise, from, from + CLASSES);
  for (const [next, ...classes] of cells) {
    for (const byteClass of classes) NEXT[from + byteClass] = next;
  }
}

/** Instead of a position: the sink has ended the scan. It is behind every piece, so that loops end. */
const STOPPED = 0x7fffffff;
/** Integers of so many digits are exact in a double. */
const SMALL_DIGITS = 15;
const NO_BYTES = new Uint8Array(0);
/** A buffer for cut tokens up to this size is kept for the next one. */
const KEPT_CUT_BYTES = 4096;

/** Kinds of token that are handed on as bytes; the fourth kind is a word. */
export const STRING = STRING_ENDS;
export const INTEGER = INTEGER_ENDS;
export const FLOAT = FLOAT_ENDS;

/**
 * Takes the tokens, in order. `next` is the position in the stream just behind the token, counted from the beginning
 * of the piece being scanned (add {@link JsonLexer.base}). Bytes are lent for the call. A method returns false to end
 * the scan: the rest of the piece is dropped.
 */
export interface TokenSink {
  /** One of `{ } [ ] : ,`. */
  structural(byte: number, next: number): boolean;
  /** A string in which every byte stands for itself; start and end are inside the quotes. */
  plainString(bytes: Uint8Array, start: number, end: number, hash: number, next: number): boolean;
  /** An integer of at most 15 digits without sign. */
  smallInteger(value: number, length: number, next: number): boolean;
  /** Any other token, quotes included: STRING, INTEGER, FLOAT or a word. */
  token(kind: number, bytes: Uint8Array, start: number, end: number, next: number): boolean;
  /** A lexical error: the token so far with the byte that cannot continue it. */
  stray(bytes: Uint8Array, start: number, end: number, next: number): boolean;
  /** A token has passed the size limit and is not complete. */
  oversized(next: number): boolean;
}

/** Bytes in, tokens out. */
export class JsonLexer {
  /** Where the piece being scanned begins in the stream. */
  base = 0;
  #state = START;
  /** The beginning of a token whose end has not come yet: #cut bytes of it. */
  #cutBytes: Uint8Array = NO_BYTES;
  #cut = 0;
  readonly #sink: TokenSink;
  readonly #maxTokenBytes: number;

  constructor(sink: TokenSink, maxTokenBytes: number) {
    this.#sink = sink;
    this.#maxTokenBytes = maxTokenBytes;
  }

  /** Forgets everything; the stream begins anew at 0. */
  reset(): void {
    this.base = 0;
    this.#state = START;
    this.#dropCut();
  }

  /** Scans the next bytes of the stream. */
  feed(bytes: Uint8Array): void {
    // A token that is too long is reported at the very byte, so a piece ends where an unfinished token would pass the limit.
    let from = 0;
    while (bytes.length - from + this.#cut > this.#maxTokenBytes) {
      const piece = bytes.subarray(from, from + this.#maxTokenBytes + 1 - this.#cut);
      from += piece.length;
      if (!this.#feedPiece(piece)) return;
      if (this.#cut > this.#maxTokenBytes) {
        this.#state = START;
        this.#dropCut();
        if (!this.#sink.oversized(0)) return;
      }
    }
    this.#feedPiece(from === 0 ? bytes : bytes.subarray(from));
  }

  /** Hands on the token that only its next byte could have ended; what is no token without more bytes is stray. */
  end(): void {
    if (this.#state <= RECOVERY) return;
    const verdict = NEXT[this.#state * CLASSES + CONTROL] as number;
    this.#state = START;
    this.#finish(verdict, NO_BYTES, 0, 0);
  }

  #feedPiece(piece: Uint8Array): boolean {
    const goesOn =
      this.#state === START ? this.#scan(piece, 0) : this.#scan(piece, this.#run(piece, 0, 0, this.#state));
    if (goesOn) this.base += piece.length;
    return goesOn;
  }

  /** Scans from between two tokens to the end of the piece; false where the sink has stopped it. */
  #scan(bytes: Uint8Array, from: number): boolean {
    const sink = this.#sink;
    let at = from;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      const byteClass = CLASS[byte] as number;
      if (byteClass === STRUCTURE) {
        at++;
        if (!sink.structural(byte, at)) return false;
      } else if (byteClass === DOUBLE_QUOTE || byteClass === SINGLE_QUOTE) {
        at = this.#scanString(bytes, at);
      } else if (byteClass === DIGIT) {
        at = this.#scanInteger(bytes, at);
      } else if (byteClass >= TAB && byteClass <= SPACE) {
        at++;
      } else {
        at = this.#run(bytes, at, at, START);
      }
    }
    return at !== STOPPED;
  }

  /** A string, fast while it is plain; returns where to go on, as all of these do. */
  #scanString(bytes: Uint8Array, start: number): number {
    const quote = bytes[start] as number;
    let hash = 0;
    let at = start + 1;
    let byte = 0;
    while (at < bytes.length && PLAIN[(byte = bytes[at] as number)] === 1) {
      hash = (Math.imul(hash, 31) + byte) | 0;
      at++;
    }
    if (at === bytes.length || byte !== quote) return this.#run(bytes, start, start, START);
    return this.#sink.plainString(bytes, start + 1, at, hash, at + 1) ? at + 1 : STOPPED;
  }

  /** A number that does not begin with 0 or a sign, fast while it is a small integer. */
  #scanInteger(bytes: Uint8Array, start: number): number {
    let value = 0;
    let at = start;
    while (at < bytes.length && at - start < SMALL_DIGITS) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    const ends = at < bytes.length && NEXT[DIGITS * CLASSES + CLASS[bytes[at] as number]!] === INTEGER_ENDS;
    if (!ends) return this.#run(bytes, start, at, DIGITS);
    return this.#sink.smallInteger(value, at - start, at) ? at : STOPPED;
  }

  /** The table's walk from a state in the midst of a token (or of recovery) to its end, or to the end of the piece. */
  #run(bytes: Uint8Array, start: number, from: number, begun: number): number {
    let state = begun;
    let at = from;
    while (at < bytes.length) {
      const next = NEXT[state * CLASSES + CLASS[bytes[at] as number]!] as number;
      if (next < STATES) {
        state = next;
        at++;
        continue;
      }
      if (next === STRING_ENDS || next === STRAY) at++;
      this.#state = next === STRAY ? RECOVERY : START;
      if (next !== RESTART && !this.#finish(next, bytes, start, at)) return STOPPED;
      if (next !== STRAY) return at;
      state = RECOVERY;
    }
    this.#state = state;
    if (state !== RECOVERY) this.#append(bytes, start, at);
    return at;
  }

  /** Hands on a token that ends before `end`, with what earlier pieces had of it. */
  #finish(verdict: number, bytes: Uint8Array, start: number, end: number): boolean {
    let whole = bytes;
    let from = start;
    let to = end;
    if (this.#cut > 0) {
      this.#append(bytes, 0, end);
      whole = this.#cutBytes;
      from = 0;
      to = this.#cut;
      this.#dropCut();
    }
    if (verdict === STRAY) return this.#sink.stray(whole, from, to, end);
    return this.#sink.token(verdict, whole, from, to, end);
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const needed = this.#cut + end - start;
    if (needed > this.#cutBytes.length) {
      const larger = new Uint8Array(Math.max(64, needed, Math.min(2 * needed, this.#maxTokenBytes + 1)));
      larger.set(this.#cutBytes.subarray(0, this.#cut));
      this.#cutBytes = larger;
    }
    this.#cutBytes.set(bytes.subarray(start, end), this.#cut);
    this.#cut = needed;
  }

  #dropCut(): void {
    this.#cut = 0;
    if (this.#cutBytes.length > KEPT_CUT_BYTES) this.#cutBytes = NO_BYTES;
  }
}
