// How does QEMU read a number out of option text, and how is a 64-bit integer kept? The text follows the C library:
// leading white space, a sign, prefixes 0x and 0.
import type { Int64 } from './types.ts';

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** An integer as the project keeps it: a number where that is exact, else a bigint. */
export function canonical(value: bigint): Int64 {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

/** An unsigned 64-bit integer seen as signed, as a C cast does: 2^64 - 1 becomes -1. */
export function asInt64(value: Int64): Int64 {
  return typeof value === 'number' ? value : canonical(BigInt.asIntN(64, value));
}

/** An integer of int64 as it is; undefined for those that only uint64 has. */
export function toInt64(value: Int64): Int64 | undefined {
  return typeof value === 'number' || (value >= int64Min && value <= int64Max) ? value : undefined;
}

/** Negative integers are taken modulo 2^64. */
export function toUint64(value: Int64): Int64 {
  return value >= 0 ? value : canonical(BigInt.asUintN(64, BigInt(value)));
}

const cInteger = /^[ \t\n\v\f\r]*(?<sign>[+-]?)(?<digits>0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;

/** The integer that strtoll with base 0 reads from the whole text, without any bound. */
function parseInteger(text: string): bigint | undefined {
  const groups = cInteger.exec(text)?.groups;
  if (!groups) return undefined;
  const digits = groups['digits']!;
  const magnitude = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return groups['sign'] === '-' ? -magnitude : magnitude;
}

/** A signed 64-bit integer in C notation; undefined where the text is none. */
export function parseInt64(text: string): Int64 | undefined {
  const value = parseInteger(text);
  return value === undefined || value < int64Min || value > int64Max ? undefined : canonical(value);
}

/** An unsigned one; a minus sign negates modulo 2^64, as strtoull does. */
export function parseUint64(text: string): Int64 | 'out of range' | undefined {
  const value = parseInteger(text);
  if (value === undefined) return undefined;
  if (value > uint64Max || value < -uint64Max) return 'out of range';
  return canonical(BigInt.asUintN(64, value));
}

const cSize =
  /^[ \t\n\v\f\r]*\+?(?:(?<hex>0[xX][0-9a-fA-F]+)|(?<whole>[0-9]+)(?:\.(?<fraction>[0-9]*))?)(?<unit>[a-zA-Z]?)$/;
const sizeUnits = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/** Bytes, with an optional suffix B, k, M, G, T, P or E (of 1024), before which a fraction is allowed. */
export function parseSize(text: string): Int64 | 'out of range' | undefined {
  const groups = cSize.exec(text)?.groups;
  if (!groups) return undefined;
  const unit = groups['unit']!.toUpperCase();
  const exponent = unit === 'B' ? 0 : sizeUnits.indexOf(unit);
  if (exponent < 0) return undefined;
  const scale = 1024n ** BigInt(exponent);
  const fraction = groups['fraction'] ?? '';
  if (exponent === 0 && /[1-9]/.test(fraction)) return undefined;
  const whole = BigInt(groups['hex'] ?? groups['whole']!) * scale;
  const value = whole + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length);
  return value > uint64Max ? 'out of range' : canonical(value);
}

/** A finite double in C notation. */
export function parseNumber(text: string): number | undefined {
  if (!/^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** What QEMU takes for a boolean in option text. */
export function parseBool(text: string): boolean | undefined {
  if (text === 'on' || text === 'yes' || text === 'true' || text === 'y') return true;
  if (text === 'off' || text === 'no' || text === 'false' || text === 'n') return false;
  return undefined;
}
