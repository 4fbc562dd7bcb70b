// What does a system call that failed look like in TypeScript?
import { constants } from 'node:os';

import { FdsetError, type FdsetErrorOptions } from '../errors.ts';
import { loadAddon } from './load.ts';

interface ErrnoBinding {
  strerror(errno: number): string;
}

const binding = loadAddon() as ErrnoBinding;

const namesByErrno = new Map<number, string>();
for (const [name, errno] of Object.entries(constants.errno)) {
  // Of two names for one number the one that errno(3) explains wins.
  if (name !== 'EWOULDBLOCK' && name !== 'ENOTSUP') namesByErrno.set(errno, name);
}

/** C's text for an errno, such as `Permission denied`. */
export function strerror(errno: number): string {
  return binding.strerror(errno);
}

/** The name of an errno, such as `EACCES`; `errno N` where Node knows none. */
export function errnoName(errno: number): string {
  return namesByErrno.get(errno) ?? `errno ${errno}`;
}

/** A system call failed. The message is C's text for the errno and nothing else, for callers that build QEMU's texts. */
export class SystemError extends FdsetError {
  /** Positive. */
  readonly errno: number;
  /** Such as `EACCES`. */
  readonly errnoName: string;
  /** The name of the call, such as `fcntl`. */
  readonly syscall: string;

  constructor(errno: number, syscall: string, options?: FdsetErrorOptions) {
    super('ERR_FDSET_SYSTEM', strerror(errno), options);
    this.errno = errno;
    this.errnoName = errnoName(errno);
    this.syscall = syscall;
  }
}

/**
 * What a native function returned, where that is not an errno.
 * @throws SystemError where `result` is negative: the errno, negated.
 */
export function checkResult(result: number, syscall: string): number {
  if (result < 0) throw new SystemError(-result, syscall);
  return result;
}
