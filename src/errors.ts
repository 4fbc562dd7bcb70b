// What every error of fdset has in common.
//
// FdsetError                  the root; `code` is stable and is what a program matches on, never the text
// ├─ SystemError              a system call failed: errno, its name, the call            (src/addon)
// ├─ JsonParseError           bytes that are not QEMU's JSON                             (src/json)
// ├─ QapiError                a value that its QAPI schema refuses                       (src/qapi)
// └─ …                        the other leaves live beside the code that throws them
//
// An error that a QMP server of ours answers with is a FdsetError too: its message is the `desc` on the wire, equal to
// QEMU's text, and `errorClass` is the `class`. Anything else that a command handler throws is a bug of ours.

/** The error classes of QMP. Source: QEMU's qapi/error.json, `QapiErrorClass`. */
export type QapiErrorClass =
  'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';

export interface FdsetErrorOptions extends ErrorOptions {
  readonly errorClass?: QapiErrorClass;
}

/** The root of the error tree. */
export class FdsetError extends Error {
  /** Stable, upper-case, for programs to match on: `ERR_FDSET_…`. */
  readonly code: string;
  /** The class this error has as a QMP reply. */
  readonly errorClass: QapiErrorClass;

  constructor(code: string, message: string, options: FdsetErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.errorClass = options.errorClass ?? 'GenericError';
  }
}
