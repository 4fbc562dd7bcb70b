// How does a tool open a file that it wants to pass on? Without waiting for anybody (a FIFO without a peer, a modem
// line), without making a file, and close-on-exec.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';

import { getStatusFlags, O, setStatusFlags } from '../addon/index.ts';
import { OwnedFd } from '../fds/index.ts';
import { CliError } from './cli-error.ts';

export type AccessMode = 'r' | 'w' | 'rw';

const accessFlags: Record<AccessMode, number> = { r: O.O_RDONLY, w: O.O_WRONLY, rw: O.O_RDWR };
const reasons: Record<string, string> = {
  ENOENT: 'no such file (it has to exist: nothing is created)',
  EACCES: 'permission denied: run this as a user who may open it',
  EPERM: 'operation not permitted: run this as a user who may open it',
  EROFS: 'the filesystem is mounted read-only: use mode r',
  EISDIR: 'a directory cannot be opened for writing',
  ENXIO: 'nobody reads from this FIFO, or there is no such device',
  EINVAL: 'the filesystem does not take these flags (--direct?)',
  ETXTBSY: 'a program that is running cannot be opened for writing',
  EMFILE: 'too many open files: raise the limit (ulimit -n)',
};

export interface OpenFileOptions {
  /** With O_DIRECT. */
  readonly direct?: boolean;
  /** What errors call the file. Default: the path. */
  readonly name?: string;
}

/**
 * Opens an existing file of any kind; the caller owns the fd.
 *
 * @throws CliError that names the file and the way out
 */
export function openFile(path: string, mode: AccessMode, options: OpenFileOptions = {}): OwnedFd {
  // O_NONBLOCK only for the open itself; what the receiver gets blocks, as if opened by hand.
  const flags = accessFlags[mode] | O.O_CLOEXEC | constants.O_NOCTTY | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = openSync(path, flags | (options.direct ? O.O_DIRECT : 0));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new CliError(`${options.name ?? path}: ${reasons[code] ?? (error as Error).message}`, { cause: error });
  }
  try {
    setStatusFlags(fd, getStatusFlags(fd) & ~O.O_NONBLOCK);
    return new OwnedFd(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** An image that can be served: a regular file or a block device. */
export interface Image {
  readonly path: string;
  readonly kind: 'file' | 'host_device';
  readonly fd: OwnedFd;
}

/**
 * Opens an image; the caller owns `fd`.
 *
 * @throws CliError where it cannot be opened or is neither a regular file nor a block device
 */
export function openImage(path: string, mode: AccessMode): Image {
  const fd = openFile(path, mode);
  const stat = fstatSync(fd.fd);
  if (stat.isFile()) return { path, kind: 'file', fd };
  if (stat.isBlockDevice()) return { path, kind: 'host_device', fd };
  fd.close();
  throw new CliError(`${path}: not a disk image: it has to be a regular file or a block device`);
}
