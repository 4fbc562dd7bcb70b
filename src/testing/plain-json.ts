// How does a parsed value look to a test? As plain objects, which assert.deepEqual compares.
import { JsonDouble, type JsonValue } from '../json/index.ts';

/** JSON as plain JavaScript; integers that a number cannot hold are bigint. */
export type PlainJson =
  null | boolean | string | number | bigint | readonly PlainJson[] | { readonly [name: string]: PlainJson };

export function toPlain(value: JsonValue): PlainJson {
  if (value instanceof JsonDouble) return value.value;
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, member]) => [name, toPlain(member)]));
  return value;
}
