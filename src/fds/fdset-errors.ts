// What does QEMU 10.0 say when something is wrong with an fd set, or with an fd that a command needs? All texts of this
// folder that go on the wire, in one place.
import { FdsetError } from '../errors.ts';
import type { Int64 } from './int64.ts';

/** A command that wants an fd came without one. */
export function noFdSupplied(): FdsetError {
  return new FdsetError('ERR_FDSET_NO_FD', 'No file descriptor supplied via SCM_RIGHTS');
}

/** An fd set id below 0. */
export function negativeFdsetId(): FdsetError {
  return new FdsetError('ERR_FDSET_INVALID_ID', "Parameter 'fdset-id' expects a non-negative value");
}

/** remove-fd of a set, or of an fd in a set, that is not there. */
export function noSuchMember(fdsetId: Int64, fd?: Int64): FdsetError {
  const name = fd === undefined ? `fdset-id:${fdsetId}` : `fdset-id:${fdsetId}, fd:${fd}`;
  return new FdsetError('ERR_FDSET_NOT_FOUND', `File descriptor named '${name}' not found`);
}

/** `/dev/fdset/N` of a set that is not there; ENOENT underneath. */
export function noSuchFdset(id: number): FdsetError {
  return new FdsetError('ERR_FDSET_NOT_FOUND', `Failed to find fdset /dev/fdset/${id}`);
}

/** `/dev/fdset/…` with something else than a number of a set; EINVAL underneath. */
export function notAnFdset(filename: string): FdsetError {
  return new FdsetError('ERR_FDSET_INVALID_ID', `Could not parse fdset ${filename}`);
}

/** No fd of the set has the access mode and O_DIRECT that are asked for; EACCES underneath. */
export function noMatchingFd(flags: number): FdsetError {
  const text = `Failed to find file descriptor with matching flags=0x${flags.toString(16)}`;
  return new FdsetError('ERR_FDSET_NO_MATCHING_FD', text);
}

/** A member whose status flags cannot be read; `cause` is the SystemError. */
export function cannotReadFlags(fd: number, cause: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_DUP', `Failed to read file status flags for fd=${fd}`, { cause });
}

/** A member that matches but cannot be duplicated with these flags; `cause` is the SystemError. */
export function cannotDup(fd: number, cause: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_DUP', `Failed to dup() given file descriptor fd=${fd}`, { cause });
}

/** getfd with a name that could be a number. */
export function nameStartsWithDigit(): FdsetError {
  return new FdsetError('ERR_FDSET_INVALID_NAME', "Parameter 'fdname' expects a name not starting with a digit");
}

/** closefd of a name that this monitor does not have. */
export function noSuchName(name: string): FdsetError {
  return new FdsetError('ERR_FDSET_NOT_FOUND', `File descriptor named '${name}' not found`);
}

/** A command that uses a name that this monitor does not have: QEMU words it differently from closefd. */
export function nameNotFound(name: string): FdsetError {
  return new FdsetError('ERR_FDSET_NOT_FOUND', `File descriptor named '${name}' has not been found`);
}

/** An inherited fd that is asked for by its number, but is not open, or belongs to the program itself. */
export function notInherited(): FdsetError {
  return new FdsetError('ERR_FDSET_NOT_INHERITED', 'fd is not valid or already in use');
}
