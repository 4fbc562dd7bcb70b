// What does the text behind `key=` mean? The server's schema says: `4` is an integer for one argument and a string for
// another. Where there is no schema the text says what it looks like.
//
//  type       | text
//  -----------|---------------------------------------------------------------------------------------
//  int        | 42, -1, 0x2a, 10G (K, M, G, T, P, E: powers of 1024)
//  number     | 1.5
//  bool       | on, off, true, false, yes, no
//  str        | as it stands; "…" is a JSON string, '…' has no escapes; @FILE:rw is a file, @@ is @
//  enum       | one of its values
//  alternate  | null, an enum's value, bool, int, number, and what fits none of them is a str
//  array      | a,b,c or [JSON]
//  object     | {JSON}; rather give its members: key.member=value
//  any        | what it looks like: an integer, true, false, null, JSON, else a str
import { JsonDouble, JsonParseError, type JsonOutput, parseJson } from '../json/index.ts';
import type { SchemaType, ServerSchema } from '../introspection/index.ts';
import { type FileWord, parseFileWord } from './file-word.ts';
import { nearest } from './nearest.ts';
import { unquote } from './quotes.ts';

/** A value of a command line: JSON, with files that are still to be opened. */
export type LineValue = JsonOutput | FileReference | LineValue[] | Map<string, LineValue>;

/** A file in the place of a file name: an fd set is to be made of it, and its name put here. */
export class FileReference {
  readonly file: FileWord;

  constructor(file: FileWord) {
    this.file = file;
  }
}

/** Why a text is no value of a type: what would be one. */
export class NotAValue extends Error {}

/** @throws NotAValue */
export function typedValue(schema: ServerSchema, typeName: string, text: string): LineValue {
  const type = schema.type(typeName);
  switch (type.kind) {
    case 'builtin':
      return builtinValue(type.json, text);
    case 'enum': {
      const value = unquote(text) ?? text;
      if (type.values.some(({ name }) => name === value)) return value;
      throw new NotAValue(
        oneOf(
          value,
          type.values.map(({ name }) => name),
        ),
      );
    }
    case 'array':
      return arrayValue(schema, type.element, text);
    case 'object':
      return jsonValue(text, '{', 'its members, each with a key of its own (key.member=value), or a JSON object');
    case 'alternate':
      return alternateValue(schema, type.branches, text);
  }
}

const integers = /^([+-]?)(0x[0-9a-f]+|\d+)([kmgtpe]?)$/i;
const shifts: Readonly<Record<string, bigint>> = { '': 0n, k: 10n, m: 20n, g: 30n, t: 40n, p: 50n, e: 60n };

function builtinValue(json: string, text: string): LineValue {
  switch (json) {
    case 'int':
      return integerOf(text) ?? refuse('an integer (42, 0x2a, 10G)');
    case 'number':
      return numberOf(text) ?? refuse('a number');
    case 'boolean':
      return booleanOf(text) ?? refuse('on or off');
    case 'null':
      return text === 'null' ? null : refuse('null');
    case 'string':
      return stringOf(text);
    default:
      return untypedValue(text);
  }
}

function refuse(expected: string): never {
  throw new NotAValue(expected);
}

/** What a text looks like. */
export function untypedValue(text: string): LineValue {
  if (/^[[{]/.test(text)) {
    try {
      return parseJson(text);
    } catch (error) {
      if (!(error instanceof JsonParseError)) throw error;
    }
  }
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  const integer = /^-?\d+$/.test(text) ? integerOf(text) : undefined;
  if (integer !== undefined) return integer;
  return /^-?\d+\.\d+$/.test(text) ? new JsonDouble(Number(text)) : stringOf(text);
}

function stringOf(text: string): LineValue {
  const quoted = unquote(text);
  if (quoted !== undefined) return quoted;
  if (text.startsWith('@@')) return text.slice(1);
  const file = parseFileWord(text);
  return file ? new FileReference(file) : text;
}

function integerOf(text: string): number | bigint | undefined {
  const match = integers.exec(text);
  if (!match) return undefined;
  const absolute = BigInt(match[2]!) << shifts[match[3]!.toLowerCase()]!;
  const value = match[1] === '-' ? -absolute : absolute;
  if (value < -(1n << 63n) || value >= 1n << 64n) return undefined;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function numberOf(text: string): number | bigint | JsonDouble | undefined {
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  return /^[+-]?\d+$/.test(text) ? integerOf(text) : new JsonDouble(Number(text));
}

function booleanOf(text: string): boolean | undefined {
  if (/^(?:on|true|yes)$/i.test(text)) return true;
  return /^(?:off|false|no)$/i.test(text) ? false : undefined;
}

function arrayValue(schema: ServerSchema, element: string, text: string): LineValue {
  if (text.startsWith('[')) return jsonValue(text, '[', 'a JSON list');
  if (text === '') return [];
  const { kind } = schema.type(element);
  if (kind === 'object' || kind === 'array') throw new NotAValue('key.0.member=value and so on, or a JSON list');
  return text.split(',').map((part) => typedValue(schema, element, part));
}

function jsonValue(text: string, begins: string, expected: string): LineValue {
  if (!text.startsWith(begins)) throw new NotAValue(expected);
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonParseError) throw new NotAValue(`${expected}, and this is not JSON: ${error.message}`);
    throw error;
  }
}

/** Kinds of branches, those first that few texts fit. */
const branchOrder = ['null', 'enum', 'boolean', 'int', 'number', 'array', 'object', 'value', 'string'];

function alternateValue(schema: ServerSchema, branches: readonly string[], text: string): LineValue {
  const types = branches.map((name) => schema.type(name));
  types.sort((a, b) => branchOrder.indexOf(kindOf(a)) - branchOrder.indexOf(kindOf(b)));
  const expected: string[] = [];
  for (const type of types) {
    // A list without brackets would take what was meant for the string.
    if (type.kind === 'array' && !text.startsWith('[')) continue;
    try {
      return typedValue(schema, type.name, text);
    } catch (error) {
      if (!(error instanceof NotAValue)) throw error;
      expected.push(error.message);
    }
  }
  throw new NotAValue(expected.join(', or '));
}

function kindOf(type: SchemaType): string {
  return type.kind === 'builtin' ? type.json : type.kind;
}

function oneOf(given: string, values: readonly string[]): string {
  const close = nearest(given, values);
  if (close !== undefined) return `one of ${values.length} values: do you mean ${close}?`;
  return `one of ${values.join(', ')}`;
}
