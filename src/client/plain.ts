// What does a user get who asks for a value? Plain objects and arrays, as JSON.parse makes them, but with exact integers.
import { type JsonObject, type JsonValue, JsonDouble } from '../json/index.ts';

/**
 * A value as the client hands it out. An integer is a number where that is exact, else a bigint; with the option `bigint`
 * every integer is a bigint. A number with a point or an exponent is a number.
 */
export type QmpValue = null | boolean | string | number | bigint | QmpValue[] | { [name: string]: QmpValue };

/** The plain form of a parsed value, which stays as it is. Members named `__proto__` become own properties. */
export function toPlain(value: JsonValue, bigints: boolean): QmpValue {
  if (typeof value !== 'object' || value === null) {
    return bigints && typeof value === 'number' ? BigInt(value) : value;
  }
  if (value instanceof Map) return plainObject(value, bigints);
  if (value instanceof JsonDouble) return value.value;
  return value.map((element) => toPlain(element, bigints));
}

/** The same of an object. */
export function plainObject(map: JsonObject, bigints: boolean): { [name: string]: QmpValue } {
  const object: { [name: string]: QmpValue } = {};
  for (const [name, member] of map) {
    const value = toPlain(member, bigints);
    if (name === '__proto__') {
      Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
    } else {
      object[name] = value;
    }
  }
  return object;
}
