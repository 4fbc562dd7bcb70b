// Which classes can an error reply have?
import type { QapiErrorClass } from '../errors.ts';

/** The error classes of QMP. Source: QEMU's qapi/error.json, `QapiErrorClass`. */
export const ERROR_CLASSES: readonly QapiErrorClass[] = [
  'GenericError',
  'CommandNotFound',
  'DeviceNotActive',
  'DeviceNotFound',
  'KVMMissingCap',
];

/** Whether a name is an error class that programs may rely on; a server may be newer than this list. */
export function isErrorClass(name: string): name is QapiErrorClass {
  return (ERROR_CLASSES as readonly string[]).includes(name);
}
