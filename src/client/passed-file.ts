// Which fd goes to the server? One whose open file description the server may do with as it likes: QEMU clears O_NONBLOCK
// on what it is handed and switches O_DIRECT and O_APPEND, for everybody who shares the description.
//
//  given            | handed over
//  -----------------|--------------------------------------------------------------------------------------
//  path and mode    | a file opened for this, which never waits for a peer and never creates anything
//  number, FileHandle | the same file opened once more, with its access mode and flags; what cannot be (sockets,
//                   | event fds), and everything with `share`, is handed over as it is
//  OwnedFd          | itself: it is given away, so nobody else shares it
import { constants } from 'node:fs';

import { O, SystemError, dupFd, getStatusFlags, open, setStatusFlags } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { OwnedFd } from '../fds/index.ts';

/** A file to be passed. */
export type QmpFile =
  /** An existing file of any kind. `direct`: with O_DIRECT, for `cache.direct`. */
  | { readonly path: string; readonly mode: 'r' | 'w' | 'rw'; readonly direct?: boolean }
  /** A FileHandle of node:fs/promises: it stays the caller's, who keeps it open until the promise is settled. */
  | { readonly fd: number; readonly path?: undefined }
  /** An fd, which stays the caller's likewise. */
  | number
  /** An owner that is given away: closed when it has been sent, or could not be. */
  | OwnedFd;

const accessFlags = { r: O.O_RDONLY, w: O.O_WRONLY, rw: O.O_RDWR };
/** What a description opened once more has of the first. */
const keptFlags = O.O_ACCMODE | O.O_APPEND | O.O_DIRECT | O.O_SYNC | O.O_NOATIME | O.O_PATH | O.O_DIRECTORY;
// O_NONBLOCK only for the open itself: a FIFO without a peer and a modem line are not waited for.
const openFlags = O.O_CLOEXEC | constants.O_NOCTTY | O.O_NONBLOCK;

/**
 * The fd to be sent, owned by the caller.
 * @throws FdsetError `ERR_FDSET_QMP_FILE`, with the error of the system call as its cause
 */
export async function fileToPass(file: QmpFile, share = false): Promise<OwnedFd> {
  if (file instanceof OwnedFd) return file;
  if (typeof file === 'number') return share ? new OwnedFd(dupFd(file)) : reopened(file);
  if (typeof file.path !== 'string') return fileToPass((file as { readonly fd: number }).fd, share);
  const { path, mode, direct } = file;
  if (!Object.hasOwn(accessFlags, mode)) throw new TypeError(`${path}: mode has to be r, w or rw`);
  try {
    return await openToPass(path, accessFlags[mode] | (direct === true ? O.O_DIRECT : 0));
  } catch (error) {
    throw fileError(path, error, '');
  }
}

async function reopened(fd: number): Promise<OwnedFd> {
  try {
    return await openToPass(`/proc/self/fd/${fd}`, getStatusFlags(fd) & keptFlags);
  } catch (error) {
    if (error instanceof SystemError && error.errnoName === 'ENXIO') return new OwnedFd(dupFd(fd));
    throw fileError(`fd ${fd}, opened once more`, error, '; the option share hands over the fd itself');
  }
}

async function openToPass(path: string, flags: number): Promise<OwnedFd> {
  const fd = new OwnedFd(await open(path, flags | openFlags));
  try {
    if ((flags & O.O_PATH) === 0) setStatusFlags(fd.fd, getStatusFlags(fd.fd) & ~O.O_NONBLOCK);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'no such file: it has to exist, nothing is created',
  EACCES: 'permission denied',
  EROFS: 'the filesystem is mounted read-only: use mode r',
  EISDIR: 'a directory cannot be opened for writing',
  ENXIO: 'nobody reads from this FIFO, or there is no such device',
  EINVAL: 'the filesystem does not take these flags',
  ETXTBSY: 'a program that is running cannot be opened for writing',
};

function fileError(name: string, error: unknown, hint: string): unknown {
  if (!(error instanceof SystemError)) return error;
  const reason = reasons[error.errnoName] ?? error.message;
  return new FdsetError('ERR_FDSET_QMP_FILE', `${name}: ${reason}${hint}`, { cause: error });
}
