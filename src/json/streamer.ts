// When is a value of a byte stream complete, and does it keep within the limits? Read this file first.
//
// Braces and brackets are counted apart: a value is complete when, after a token, neither count is positive or one of
// them is negative. So `{]` is complete (and wrong), while `{"a": [}` goes on. Whatever ends a value, an error too,
// parsing begins afresh with the next byte. Source: QMP's JSON input as QEMU 10.0 reads it.
import { internAscii } from './ascii.ts';
import { FLOAT, INTEGER, JsonLexer, STRING, type TokenSink } from './lexer.ts';
import { DEFAULT_JSON_LIMITS, type JsonLimits } from './limits.ts';
import { floatLiteral, integerLiteral, keywordLiteral, stringLiteral, type LiteralFault } from './literal.ts';
import { lenientText } from './modified-utf8.ts';
import { JsonParser } from './parser.ts';
import { JsonParseError, type JsonValue } from './value.ts';

/**
 * Takes a value or an error. `end` is the offset in the stream just behind its last byte, the error's last byte
 * included; for a number or a word it lies before the byte that showed its end.
 *
 * It may reset the streamer (the rest of the bytes being pushed is dropped then), but not push to it. When it throws,
 * push throws that, and the streamer has to be reset before it is used again.
 */
export type JsonValueHandler = (value: JsonValue | JsonParseError, end: number) => void;

/** A stream of bytes, however cut, becomes values and errors. Holds one unfinished value within the limits. */
export class JsonStreamer {
  readonly #lexer: JsonLexer;
  readonly #assembler: Assembler;

  constructor(onValue: JsonValueHandler, limits: Partial<JsonLimits> = {}) {
    const all = { ...DEFAULT_JSON_LIMITS, ...limits };
    this.#assembler = new Assembler((value, next) => onValue(value, this.#lexer.base + next), all);
    this.#lexer = new JsonLexer(this.#assembler, all.maxTokenBytes);
  }

  /** Takes the next bytes of the stream; they are not kept. Values are handed on during the call, in order. */
  push(bytes: Uint8Array): void {
    this.#lexer.feed(bytes);
  }

  /** No more bytes come: hands on what is complete without them, and an error for what is not. Then it begins anew. */
  end(): void {
    this.#lexer.end();
    this.#assembler.end();
    this.reset();
  }

  /** Forgets an unfinished value; the next byte is at offset 0 of a new stream. */
  reset(): void {
    this.#lexer.reset();
    this.#assembler.reset();
  }
}

const BRACE_OPENS = 0x7b;
const BRACE_CLOSES = 0x7d;
const BRACKET_OPENS = 0x5b;
const BRACKET_CLOSES = 0x5d;
const COLON = 0x3a;

/** Counts tokens, has them parsed and notices where a value ends. */
class Assembler implements TokenSink {
  readonly #onValue: JsonValueHandler;
  readonly #maxNesting: number;
  readonly #maxTokenBytes: number;
  readonly #maxTokens: number;
  readonly #parser = new JsonParser();
  #braces = 0;
  #brackets = 0;
  #tokens = 0;
  #tokenBytes = 0;
  /** Counts resets, to notice one by the handler. */
  #resets = 0;

  constructor(onValue: JsonValueHandler, limits: JsonLimits) {
    this.#onValue = onValue;
    this.#maxNesting = limits.maxNesting;
    this.#maxTokenBytes = limits.maxTokenBytes;
    this.#maxTokens = limits.maxTokens;
  }

  structural(byte: number, next: number): boolean {
    if (byte === BRACE_OPENS) this.#braces++;
    else if (byte === BRACE_CLOSES) this.#braces--;
    else if (byte === BRACKET_OPENS) this.#brackets++;
    else if (byte === BRACKET_CLOSES) this.#brackets--;
    if (!this.#admit(1)) return this.#overLimit(next);
    const parser = this.#parser;
    if (byte === BRACE_OPENS) parser.openDict();
    else if (byte === BRACE_CLOSES) parser.closeDict();
    else if (byte === BRACKET_OPENS) parser.openList();
    else if (byte === BRACKET_CLOSES) parser.closeList();
    else if (byte === COLON) parser.colon();
    else parser.comma();
    return this.#goesOn() || this.#emit(parser.take(), next);
  }

  plainString(bytes: Uint8Array, start: number, end: number, hash: number, next: number): boolean {
    const length = end - start + 2;
    if (!this.#admit(length)) return this.#overLimit(next);
    if (this.#parser.mayBeValue()) this.#parser.value(internAscii(bytes, start, end, hash));
    return this.#goesOn() || this.#emit(this.#parser.take(), next);
  }

  smallInteger(value: number, length: number, next: number): boolean {
    if (!this.#admit(length)) return this.#overLimit(next);
    if (this.#parser.mayBeValue()) this.#parser.value(value);
    return this.#goesOn() || this.#emit(this.#parser.take(), next);
  }

  token(kind: number, bytes: Uint8Array, start: number, end: number, next: number): boolean {
    const length = end - start;
    if (!this.#admit(length)) return this.#overLimit(next);
    if (this.#parser.mayBeValue()) this.#parser.literal(literalOf(kind, bytes, start, end));
    return this.#goesOn() || this.#emit(this.#parser.take(), next);
  }

  stray(bytes: Uint8Array, start: number, end: number, next: number): boolean {
    return this.#emit(new JsonParseError(`JSON parse error, stray '${lenientText(bytes, start, end)}'`), next);
  }

  oversized(next: number): boolean {
    this.#tokenBytes = this.#maxTokenBytes;
    return this.#overLimit(next);
  }

  end(): void {
    if (this.#tokens > 0) this.#emit(this.#parser.take(), 0);
  }

  reset(): void {
    this.#resets++;
    this.#forget();
  }

  #forget(): void {
    this.#braces = 0;
    this.#brackets = 0;
    this.#tokens = 0;
    this.#tokenBytes = 0;
    this.#parser.reset();
  }

  /** Takes in a token's length, or not where that exceeds a limit. */
  #admit(length: number): boolean {
    this.#tokenBytes += length;
    this.#tokens++;
    return (
      this.#tokenBytes < this.#maxTokenBytes &&
      this.#tokens <= this.#maxTokens &&
      this.#braces + this.#brackets <= this.#maxNesting
    );
  }

  /** Whether the value goes on behind the token just taken. */
  #goesOn(): boolean {
    const braces = this.#braces;
    const brackets = this.#brackets;
    return (braces > 0 || brackets > 0) && braces >= 0 && brackets >= 0;
  }

  #overLimit(next: number): boolean {
    const limit =
      this.#tokenBytes >= this.#maxTokenBytes
        ? 'token size'
        : this.#tokens > this.#maxTokens
          ? 'token count'
          : 'nesting depth';
    return this.#emit(new JsonParseError(`JSON ${limit} limit exceeded`), next);
  }

  #emit(value: JsonValue | JsonParseError, next: number): boolean {
    this.#forget();
    const resets = this.#resets;
    this.#onValue(value, next);
    return resets === this.#resets;
  }
}

function literalOf(kind: number, bytes: Uint8Array, start: number, end: number): JsonValue | LiteralFault {
  if (kind === STRING) return stringLiteral(bytes, start, end);
  if (kind === INTEGER) return integerLiteral(bytes, start, end);
  if (kind === FLOAT) return floatLiteral(bytes, start, end);
  return keywordLiteral(bytes, start, end);
}
