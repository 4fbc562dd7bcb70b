// What has a server sent? A parsed value told apart, for the client's side. What the peer sends is never taken for
// granted: anything that is none of the four messages is garbage, and says why.
import { isJsonObject, type JsonObject, type JsonValue } from '../json/index.ts';
import type { QmpTimestamp } from './response.ts';
import type { QmpVersion } from './version.ts';

/** A message from a server. `id` is undefined where the message has none. */
export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: QmpVersion; readonly capabilities: readonly string[] }
  | { readonly kind: 'return'; readonly value: JsonValue; readonly id: JsonValue | undefined }
  | {
      readonly kind: 'error';
      /** A server may know more classes than {@link ERROR_CLASSES}. */
      readonly errorClass: string;
      readonly desc: string;
      readonly id: JsonValue | undefined;
    }
  | {
      readonly kind: 'event';
      readonly name: string;
      readonly data: JsonObject | undefined;
      readonly timestamp: QmpTimestamp;
    }
  | { readonly kind: 'garbage'; readonly reason: string; readonly value: JsonValue };

/** Tells a server's message apart. Members beyond those of its kind are ignored, as a newer server may add some. */
export function parseResponse(value: JsonValue): QmpMessage {
  if (!isJsonObject(value)) return garbage('not an object', value);
  if (value.has('return')) return { kind: 'return', value: value.get('return') as JsonValue, id: value.get('id') };
  if (value.has('error')) return parseError(value);
  if (value.has('event')) return parseEvent(value);
  if (value.has('QMP')) return parseGreeting(value);
  return garbage('neither a return nor an error, event or greeting', value);
}

function parseError(message: JsonObject): QmpMessage {
  const error = dict(message.get('error'));
  const errorClass = error?.get('class');
  const desc = error?.get('desc');
  if (typeof errorClass !== 'string' || typeof desc !== 'string')
    return garbage('an error without class or desc', message);
  return { kind: 'error', errorClass, desc, id: message.get('id') };
}

function parseEvent(message: JsonObject): QmpMessage {
  const name = message.get('event');
  const data = message.get('data');
  const timestamp = dict(message.get('timestamp'));
  const seconds = timestamp?.get('seconds');
  const microseconds = timestamp?.get('microseconds');
  if (typeof name !== 'string') return garbage('an event without a name', message);
  if (data !== undefined && !isJsonObject(data)) return garbage('an event whose data is not an object', message);
  if (typeof seconds !== 'number' || typeof microseconds !== 'number')
    return garbage('an event without a time', message);
  return { kind: 'event', name, data, timestamp: { seconds, microseconds } };
}

function parseGreeting(message: JsonObject): QmpMessage {
  const greeting = dict(message.get('QMP'));
  const version = parseVersion(greeting?.get('version'));
  const capabilities = greeting?.get('capabilities');
  if (version === undefined) return garbage('a greeting without a version', message);
  if (!Array.isArray(capabilities)) return garbage('a greeting without capabilities', message);
  // QEMU's documentation tells clients to ignore capabilities that they do not know, so also their form.
  return { kind: 'greeting', version, capabilities: capabilities.filter((name) => typeof name === 'string') };
}

/** The version in a greeting or in the return of query-version; undefined where it is not one. */
export function parseVersion(value: JsonValue | undefined): QmpVersion | undefined {
  const version = dict(value);
  const qemu = dict(version?.get('qemu'));
  const [major, minor, micro] = ['major', 'minor', 'micro'].map((name) => qemu?.get(name));
  const name = version?.get('package');
  if (typeof major !== 'number' || typeof minor !== 'number' || typeof micro !== 'number') return undefined;
  return { qemu: { major, minor, micro }, package: typeof name === 'string' ? name : '' };
}

function dict(value: JsonValue | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

function garbage(reason: string, value: JsonValue): QmpMessage {
  return { kind: 'garbage', reason, value };
}
