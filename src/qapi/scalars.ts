// How is a single value read? Two ways, as QEMU has two input visitors: from JSON, where nothing is coerced, and from
// the strings of a command line (`keyval`). Both check the same ranges with the same texts.
import { JsonDouble, isJsonObject, type JsonValue } from '../json/index.ts';
import { parseBool, parseInt64, parseNumber, parseSize, parseUint64, toInt64, toUint64 } from './cutils.ts';
import { fullName, jsonElement, keyvalElement, lastName, type ElementStyle, type Place } from './place.ts';
import { expects, unexpectedBelow, wrongType } from './qapi-error.ts';
import type { BuiltinName, Int64 } from './types.ts';

/** Reads a value that stands as `name` in `place`, or throws a QapiError. */
export type Visit = (value: JsonValue, name: string | null, place: Place | null) => unknown;

/** One of QEMU's two ways to read values. */
export interface InputMode {
  readonly element: ElementStyle;
  readonly scalars: Readonly<Record<BuiltinName, Visit>>;
}

type ReadInteger = (value: JsonValue, name: string | null, place: Place | null) => Int64;

/** Integers of less than 64 bits: read as 64 bits first, then bounded, with the last component in the text. */
function narrow(read: ReadInteger, min: number, max: number, cType: string): Visit {
  return (value, name, place) => {
    const integer = read(value, name, place);
    if (integer < min || integer > max) throw expects(lastName(name), cType);
    return integer;
  };
}

function integers(signed: ReadInteger, unsigned: ReadInteger) {
  return {
    int: signed,
    int8: narrow(signed, -0x80, 0x7f, 'int8_t'),
    int16: narrow(signed, -0x8000, 0x7fff, 'int16_t'),
    int32: narrow(signed, -0x80000000, 0x7fffffff, 'int32_t'),
    int64: signed,
    uint8: narrow(unsigned, 0, 0xff, 'uint8_t'),
    uint16: narrow(unsigned, 0, 0xffff, 'uint16_t'),
    uint32: narrow(unsigned, 0, 0xffffffff, 'uint32_t'),
    uint64: unsigned,
  };
}

function jsonInt64(value: JsonValue, name: string | null, place: Place | null): Int64 {
  if (typeof value === 'number') return value;
  const integer = typeof value === 'bigint' ? toInt64(value) : undefined;
  if (integer === undefined) throw wrongType(fullName(name, place, jsonElement), 'integer');
  return integer;
}

function jsonUint64(value: JsonValue, name: string | null, place: Place | null): Int64 {
  if (typeof value === 'number' || typeof value === 'bigint') return toUint64(value);
  throw expects(fullName(name, place, jsonElement), 'uint64');
}

function jsonNumber(value: JsonValue, name: string | null, place: Place | null): number {
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  if (value instanceof JsonDouble) return value.value;
  throw wrongType(fullName(name, place, jsonElement), 'number');
}

/** Values as QMP carries them. */
export const jsonMode: InputMode = {
  element: jsonElement,
  scalars: {
    ...integers(jsonInt64, jsonUint64),
    size: jsonUint64,
    number: jsonNumber,
    str: (value, name, place) => {
      if (typeof value !== 'string') throw wrongType(fullName(name, place, jsonElement), 'string');
      return value;
    },
    bool: (value, name, place) => {
      if (typeof value !== 'boolean') throw wrongType(fullName(name, place, jsonElement), 'boolean');
      return value;
    },
    null: (value, name, place) => {
      if (value !== null) throw wrongType(fullName(name, place, jsonElement), 'null');
      return value;
    },
    any: (value) => value,
  },
};

function keyvalText(value: JsonValue, name: string | null, place: Place | null): string {
  if (typeof value === 'string') return value;
  const path = fullName(name, place, keyvalElement);
  throw isJsonObject(value) || Array.isArray(value) ? unexpectedBelow(path) : wrongType(path, 'string');
}

/** A reader of option text; where `parse` gives undefined the value is refused with `expected`. */
function keyval<T>(parse: (text: string) => T | undefined, expected: string) {
  return (value: JsonValue, name: string | null, place: Place | null): T => {
    const parsed = parse(keyvalText(value, name, place));
    if (parsed === undefined) throw expects(fullName(name, place, keyvalElement), expected);
    return parsed;
  };
}

/** QEMU does not tell a number that is out of range from text that is none. */
function inRange(parse: (text: string) => Int64 | 'out of range' | undefined): (text: string) => Int64 | undefined {
  return (text) => {
    const value = parse(text);
    return value === 'out of range' ? undefined : value;
  };
}

/** Values as keyval.ts parses them: objects and lists of strings. */
export const keyvalMode: InputMode = {
  element: keyvalElement,
  scalars: {
    ...integers(keyval(parseInt64, 'integer'), keyval(inRange(parseUint64), 'integer')),
    size: keyval(inRange(parseSize), 'a size value'),
    number: (value, name, place) => {
      const parsed = parseNumber(keyvalText(value, name, place));
      if (parsed === undefined) throw wrongType(fullName(name, place, keyvalElement), 'number');
      return parsed;
    },
    str: keyvalText,
    bool: keyval(parseBool, "'on' or 'off'"),
    null: (_value, name, place) => {
      throw wrongType(fullName(name, place, keyvalElement), 'null');
    },
    any: (value) => value,
  },
};
