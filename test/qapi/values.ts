// Values for tests as a monitor would have them: parsed from JSON text.
import assert from 'node:assert/strict';
import { isJsonObject, parseJson, type JsonObject } from '../../src/json/index.ts';

/** The object that a JSON text holds. */
export function jsonObject(text: string): JsonObject {
  const value = parseJson(text);
  assert.ok(isJsonObject(value), text);
  return value;
}

/** The message of what a function throws. */
export function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
  assert.fail('nothing was thrown');
}
