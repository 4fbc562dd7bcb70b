// What is a JSON value in memory, on either side of the wire?
import { FdsetError } from '../errors.ts';

/**
 * A number that is not an integer on the wire: written with a point or an exponent, or outside int64 and uint64.
 * It is kept apart because QEMU never accepts it where an integer is expected, whatever its value (`1.0`, `1e0`).
 */
export class JsonDouble {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** An object as parsed: members in the order sent, keys unique. */
export type JsonObject = Map<string, JsonValue>;

/**
 * A parsed value. Integers are exact over int64 and uint64: a number where it is a safe integer, else a bigint. Every
 * other number is a {@link JsonDouble}, so a plain number is always a safe integer.
 */
export type JsonValue = null | boolean | string | number | bigint | JsonDouble | JsonValue[] | JsonObject;

/**
 * What can be printed. A plain number is printed as an integer where it is one, else as a double; members of plain
 * objects that are undefined are left out.
 */
export type JsonOutput =
  | null
  | boolean
  | string
  | number
  | bigint
  | JsonDouble
  | readonly JsonOutput[]
  | ReadonlyMap<string, JsonOutput>
  | { readonly [name: string]: JsonOutput | undefined };

/** Whether a parsed value is an object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return value instanceof Map;
}

/** Bytes that are not QEMU's JSON. The message is QEMU's text, parts of which are what the peer sent. */
export class JsonParseError extends FdsetError {
  /** Without a stack: it would tell nothing, and take most of the time where a peer sends nothing but errors. */
  constructor(message: string) {
    const limit = Error.stackTraceLimit;
    Reflect.set(Error, 'stackTraceLimit', 0);
    super('ERR_FDSET_JSON', message);
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
}
