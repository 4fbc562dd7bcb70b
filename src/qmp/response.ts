// What does a server send? Greeting, return, error, event: each a line that ends with CR LF.
//
// The members' order is QEMU's; what has one form only is put together from ready-made pieces.
import type { QapiErrorClass } from '../errors.ts';
import { composeJson, writeJson, type JsonOutput, type WriteJsonOptions } from '../json/index.ts';
import type { QmpVersion } from './version.ts';

/** When an event happened. Both are -1 where the clock fails. */
export interface QmpTimestamp {
  readonly seconds: number;
  readonly microseconds: number;
}

/**
 * The success of a command.
 *
 * @param value what the command returns; undefined for a command that returns nothing.
 * @param id the request's, echoed unless undefined.
 */
export function encodeReturn(value: JsonOutput | undefined, id?: JsonOutput, options?: WriteJsonOptions): string {
  if (options?.pretty === true) return line({ return: value ?? {}, id }, options);
  const text = value === undefined ? '{}' : writeJson(value);
  return id === undefined ? `{"return": ${text}}\r\n` : `{"return": ${text}, "id": ${writeJson(id)}}\r\n`;
}

/** The failure of a command, or of input that is no request (then without an id). */
export function encodeError(
  errorClass: QapiErrorClass,
  desc: string,
  id?: JsonOutput,
  options?: WriteJsonOptions,
): string {
  if (options?.pretty === true) return line({ id, error: { class: errorClass, desc } }, options);
  return composeJson((writer) => {
    writer.ascii('{');
    if (id !== undefined) {
      writer.ascii('"id": ');
      writer.value(id);
      writer.ascii(', ');
    }
    writer.ascii('"error": {"class": "');
    writer.ascii(errorClass);
    writer.ascii('", "desc": ');
    writer.value(desc);
    writer.ascii('}}\r\n');
  });
}

/** An event, with its data unless that is undefined. */
export function encodeEvent(
  name: string,
  data: JsonOutput | undefined,
  timestamp: QmpTimestamp,
  options?: WriteJsonOptions,
): string {
  const { seconds, microseconds } = timestamp;
  return line({ timestamp: { seconds, microseconds }, event: name, data }, options);
}

/** What a server says first on a connection. `capabilities` are those that may be enabled: `oob` or none. */
export function greeting(version: QmpVersion, capabilities: readonly string[], options?: WriteJsonOptions): string {
  const { major, minor, micro } = version.qemu;
  const who = { qemu: { major, minor, micro }, package: version.package };
  return line({ QMP: { version: who, capabilities } }, options);
}

/** The time of day as events carry it, to the millisecond. */
export function timestampNow(): QmpTimestamp {
  const milliseconds = Date.now();
  return { seconds: Math.floor(milliseconds / 1000), microseconds: (milliseconds % 1000) * 1000 };
}

function line(message: JsonOutput, options?: WriteJsonOptions): string {
  return `${writeJson(message, options)}\r\n`;
}
