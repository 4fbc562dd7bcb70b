// Which version's rules do the fd sets follow? QEMU has changed when fds close, which fd an open takes, and what it says
// where there is none. Rules: fdset.md sections 4 to 6.
import { O, SystemError, strerror } from '../addon/index.ts';
import { constants } from 'node:os';
import { FdsetError } from '../errors.ts';
import { cannotDup, cannotReadFlags, noMatchingFd, noSuchFdset } from './fdset-errors.ts';

/** Why `/dev/fdset/N` could not be opened. `cause` is the SystemError. */
export type OpenFailure =
  | { readonly why: 'no such set'; readonly id: number }
  | { readonly why: 'no match' }
  | { readonly why: 'no flags' | 'no dup'; readonly fd: number; readonly cause: unknown };

export interface FdsetRules {
  /** The open flags in which an fd has to equal the request. */
  readonly decisiveFlags: number;
  /** Whether a set that nothing was opened from is emptied when no client is connected to any monitor. */
  readonly closesUnused: boolean;
  /** What to tell whoever opened `filename` with `flags`. */
  openError(failure: OpenFailure, filename: string, flags: number): FdsetError;
}

export const FDSET_RULES_10_0: FdsetRules = {
  decisiveFlags: O.O_ACCMODE | O.O_DIRECT,
  closesUnused: false,
  openError(failure, _filename, flags) {
    switch (failure.why) {
      case 'no such set':
        return noSuchFdset(failure.id);
      case 'no match':
        return noMatchingFd(flags);
      case 'no flags':
        return cannotReadFlags(failure.fd, failure.cause);
      case 'no dup':
        return cannotDup(failure.fd, failure.cause);
    }
  },
};

/** QEMU 7.2 while its machine runs. One whose machine is stopped closes nothing until it runs again. */
export const FDSET_RULES_7_2: FdsetRules = {
  decisiveFlags: O.O_ACCMODE,
  closesUnused: true,
  openError(failure, filename, flags) {
    const text = `Could not dup FD for ${filename} flags ${flags.toString(16)}: ${strerror(errnoOf(failure))}`;
    // The code tells programs what 10.0's text tells people.
    const { code } = FDSET_RULES_10_0.openError(failure, filename, flags);
    return new FdsetError(code, text, 'cause' in failure ? { cause: failure.cause } : {});
  },
};

function errnoOf(failure: OpenFailure): number {
  switch (failure.why) {
    case 'no such set':
      return constants.errno.ENOENT;
    case 'no match':
      return constants.errno.EACCES;
    default:
      return failure.cause instanceof SystemError ? failure.cause.errno : constants.errno.EINVAL;
  }
}
