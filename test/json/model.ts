// QEMU's JSON reader as a plain text of rules, slow and obvious: regular expressions over the whole stream, a list of
// tokens, then recursive descent. The real one has to agree with it for all bytes and all chunkings.
/* oxlint-disable no-control-regex -- control characters are what many of the rules are about */
import { JsonDouble, type JsonLimits, type JsonValue } from '../../src/json/index.ts';

/** What a stream gives: values and error texts, each with the offset behind it. */
export type Outcome = readonly [end: number, result: { value: JsonValue } | { error: string }];

interface Token {
  readonly kind: 'structure' | 'string' | 'number' | 'word';
  /** One character per byte. */
  readonly text: string;
}

type Lexeme = { end: number } & ({ token: Token } | { stray: string } | { oversized: true });

const WHITE = /[ \t\r\n]*/y;
const UNRECOVERED = /[^\x00-\x08\x0a-\x1f[\]{}:,\xfe\xff]*/y;
const WORD = /[a-z]+/y;
/** The longest text that may become a number, and what is one. */
const NUMBER_BEGUN =
  /-?(?:0(?:\.(?:\d+(?:[eE](?:[+-]?\d*))?)?)?|[1-9]\d*(?:\.(?:\d+(?:[eE](?:[+-]?\d*))?)?|[eE][+-]?\d*)?)?/y;
const NUMBER = /^-?(?:0(?:\.\d+(?:[eE][+-]?\d+)?)?|[1-9]\d*(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
const STRING_BEGUN = {
  '"': /"(?:[^\x00-\x1f\xfe\xff"\\]|\\[^\x00-\x1f\xfe\xff])*\\?/y,
  "'": /'(?:[^\x00-\x1f\xfe\xff'\\]|\\[^\x00-\x1f\xfe\xff])*\\?/y,
};

/** All outcomes of a stream that ends in silence: what is incomplete gives none. */
export function model(bytes: Uint8Array, limits: JsonLimits): Outcome[] {
  const stream = Buffer.from(bytes).toString('latin1');
  const outcomes: Outcome[] = [];
  let tokens: Token[] = [];
  let at = 0;
  const report = (end: number, result: { value: JsonValue } | { error: string }): void => {
    outcomes.push([end, result]);
    tokens = [];
  };
  for (;;) {
    at += munch(WHITE, stream, at).length;
    const lexeme = nextLexeme(stream, at, limits.maxTokenBytes);
    if (lexeme === undefined) return outcomes;
    at = lexeme.end;
    if ('oversized' in lexeme) {
      report(at, { error: 'JSON token size limit exceeded' });
    } else if ('stray' in lexeme) {
      report(at, { error: `JSON parse error, stray '${lenient(lexeme.stray)}'` });
      at += munch(UNRECOVERED, stream, at).length;
    } else {
      const over = overLimit(tokens, lexeme.token, limits);
      tokens.push(lexeme.token);
      if (over !== undefined) report(at, { error: `JSON ${over} limit exceeded` });
      else if (isComplete(tokens)) report(at, parse(tokens));
    }
  }
}

function munch(pattern: RegExp, stream: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(stream)?.[0] ?? '';
}

function nextLexeme(stream: string, at: number, maxBytes: number): Lexeme | undefined {
  const first = stream[at];
  if (first === undefined) return undefined;
  if ('{}[]:,'.includes(first)) return { end: at + 1, token: { kind: 'structure', text: first } };
  const quoted = first === '"' || first === "'";
  const begun = quoted
    ? munch(STRING_BEGUN[first], stream, at)
    : munch(NUMBER_BEGUN, stream, at) || munch(WORD, stream, at);
  const next = stream[at + begun.length];
  const unfinished = begun.length + (quoted && next !== undefined ? 1 : 0);
  if (unfinished > maxBytes + 1 || begun.length > maxBytes) return { end: at + maxBytes + 1, oversized: true };
  if (next === undefined) return undefined;
  const whole = begun + next;
  const end = at + begun.length;
  if (quoted && next === first) return { end: end + 1, token: { kind: 'string', text: whole } };
  if (/^[a-z]/.test(begun)) return { end, token: { kind: 'word', text: begun } };
  const isNumber = NUMBER.test(begun) && !(/^-?0$/.test(begun) && /\d/.test(next));
  if (isNumber) return { end, token: { kind: 'number', text: begun } };
  return { end: end + 1, stray: whole };
}

function overLimit(before: readonly Token[], token: Token, limits: JsonLimits): string | undefined {
  const all = [...before, token];
  if (all.reduce((sum, { text }) => sum + text.length, 0) >= limits.maxTokenBytes) return 'token size';
  if (all.length > limits.maxTokens) return 'token count';
  const { braces, brackets } = counts(all);
  return braces + brackets > limits.maxNesting ? 'nesting depth' : undefined;
}

function counts(tokens: readonly Token[]): { braces: number; brackets: number } {
  const count = (text: string): number =>
    tokens.filter((token) => token.kind === 'structure' && token.text === text).length;
  return { braces: count('{') - count('}'), brackets: count('[') - count(']') };
}

function isComplete(tokens: readonly Token[]): boolean {
  const { braces, brackets } = counts(tokens);
  return braces < 0 || brackets < 0 || (braces === 0 && brackets === 0);
}

class Fault extends Error {}

function parse(tokens: readonly Token[]): { value: JsonValue } | { error: string } {
  try {
    return { value: parseValue([...tokens]) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { error: `JSON parse error, ${error.message}` };
  }
}

function parseValue(tokens: Token[]): JsonValue {
  const token = take(tokens);
  if (token.kind === 'string') return parseString(token.text);
  if (token.kind === 'number') return parseNumber(token.text);
  if (token.kind === 'word') return parseWord(token.text);
  if (token.text === '[') return parseList(tokens);
  if (token.text === '{') return parseDict(tokens);
  throw new Fault('expecting value');
}

function take(tokens: Token[]): Token {
  const token = tokens.shift();
  if (token === undefined) throw new Fault('premature EOI');
  return token;
}

function parseList(tokens: Token[]): JsonValue[] {
  const list: JsonValue[] = [];
  if (nextIs(tokens, ']')) return list;
  for (;;) {
    list.push(parseValue(tokens));
    const { kind, text } = take(tokens);
    if (kind === 'structure' && text === ']') return list;
    if (kind !== 'structure' || text !== ',') throw new Fault('expected separator in list');
  }
}

function parseDict(tokens: Token[]): JsonValue {
  const dict = new Map<string, JsonValue>();
  if (nextIs(tokens, '}')) return dict;
  for (;;) {
    const key = parseValue(tokens);
    if (typeof key !== 'string') throw new Fault('key is not a string in object');
    const colon = take(tokens);
    if (colon.kind !== 'structure' || colon.text !== ':') throw new Fault('missing : in object pair');
    const value = parseValue(tokens);
    if (dict.has(key)) throw new Fault('duplicate key');
    dict.set(key, value);
    const { kind, text } = take(tokens);
    if (kind === 'structure' && text === '}') return dict;
    if (kind !== 'structure' || text !== ',') throw new Fault('expected separator in dict');
  }
}

function nextIs(tokens: Token[], text: string): boolean {
  const is = tokens[0]?.kind === 'structure' && tokens[0].text === text;
  if (is) tokens.shift();
  return is;
}

function parseWord(text: string): JsonValue {
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new Fault(`invalid keyword '${text}'`);
}

function parseNumber(text: string): JsonValue {
  if (!/^-?\d+$/.test(text)) return new JsonDouble(Number(text));
  const integer = BigInt(text);
  if (integer < -(2n ** 63n) || integer >= 2n ** 64n) return new JsonDouble(Number(text));
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}

const ONE_BYTE = /[\x00-\x7f]/y;
const MORE_BYTES =
  /\xc0\x80|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/y;
/** What one U+FFFD stands for: a lead byte with the continuation bytes it calls for, as far as they are there. */
const BROKEN =
  /[\xc0-\xdf][\x80-\xbf]?|[\xe0-\xef][\x80-\xbf]{0,2}|[\xf0-\xf7][\x80-\xbf]{0,3}|[\xf8-\xfb][\x80-\xbf]{0,4}|[\xfc\xfd][\x80-\xbf]{0,5}|[^]/y;

function parseString(text: string): string {
  let result = '';
  for (let at = 1; at < text.length - 1;) {
    const escape = text[at] === '\\' ? text.slice(at, at + 2) : '';
    const sequence = escape || munch(ONE_BYTE, text, at) || munch(MORE_BYTES, text, at);
    if (escape === '\\u') {
      const [character, length] = parseUnicode(text.slice(at, at + 12));
      result += character;
      at += length;
      continue;
    }
    const character = escape ? parseEscape(escape) : decode(sequence);
    if (character === undefined) throw new Fault('invalid UTF-8 sequence in string');
    result += character;
    at += sequence.length;
  }
  return result;
}

function parseEscape(escape: string): string {
  const found = ['""', "''", '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t'].find((pair) => pair[0] === escape[1]);
  if (found === undefined) throw new Fault('invalid escape sequence in string');
  return found[1] as string;
}

function parseUnicode(text: string): [character: string, length: number] {
  const pair = /^\\u(d[89ab]..)\\u(d[c-f][0-9a-f]{2})/i.exec(text);
  const length = pair !== null && /^[0-9a-f]{4}$/i.test(pair[1] as string) ? 12 : 6;
  const units = text.slice(0, length).match(/(?<=\\u)[0-9a-f]{4}/gi) ?? [];
  const character = String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16)));
  if (units.length !== length / 6 || !isAllowed(character)) {
    throw new Fault(`${lenient(text.slice(0, length))} is not a valid Unicode character`);
  }
  return [character, length];
}

/** A character of modified UTF-8. */
function decode(sequence: string): string | undefined {
  if (sequence === '') return undefined;
  const character = sequence === '\xc0\x80' ? '\0' : Buffer.from(sequence, 'latin1').toString('utf8');
  return isAllowed(character) ? character : undefined;
}

function isAllowed(character: string): boolean {
  const point = character.codePointAt(0) as number;
  const surrogate = point >= 0xd800 && point <= 0xdfff;
  return !surrogate && !(point >= 0xfdd0 && point <= 0xfdef) && (point & 0xffff) < 0xfffe;
}

function lenient(bytes: string): string {
  let text = '';
  for (let at = 0; at < bytes.length && bytes[at] !== '\0';) {
    const sequence = munch(ONE_BYTE, bytes, at) || munch(MORE_BYTES, bytes, at);
    text += decode(sequence) ?? '\ufffd';
    at += (sequence || munch(BROKEN, bytes, at)).length;
  }
  return text;
}
