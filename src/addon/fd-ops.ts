// What can be done to an fd at once? System calls that never wait for a disk or a peer. (Closing can: an fd on a file that
// somebody else has chosen is closed with closeAtOnce or closeUnattended, or with the `close` of io-pool.ts.)
import { loadAddon } from './load.ts';
import { checkResult } from './system-error.ts';

interface FdOpsBinding {
  close(fd: number): number;
  closeAtOnce(fd: number): number;
  closeUnattended(fd: number): number;
  dup(fd: number): number;
  getStatusFlags(fd: number): number;
  setStatusFlags(fd: number, flags: number): number;
  getCloseOnExec(fd: number): number;
  setCloseOnExec(fd: number, on: boolean): number;
  pipe(): [number, number] | number;
  socketPair(): [number, number] | number;
  O: OpenFlags;
}

/** The flags of open(2) on this machine. */
export interface OpenFlags {
  readonly O_RDONLY: number;
  readonly O_WRONLY: number;
  readonly O_RDWR: number;
  readonly O_ACCMODE: number;
  readonly O_CREAT: number;
  readonly O_EXCL: number;
  readonly O_NOCTTY: number;
  readonly O_TRUNC: number;
  readonly O_APPEND: number;
  readonly O_NONBLOCK: number;
  readonly O_DSYNC: number;
  /** Includes O_DSYNC. */
  readonly O_SYNC: number;
  readonly O_ASYNC: number;
  readonly O_DIRECT: number;
  readonly O_DIRECTORY: number;
  readonly O_NOFOLLOW: number;
  readonly O_NOATIME: number;
  readonly O_CLOEXEC: number;
  readonly O_PATH: number;
  readonly O_TMPFILE: number;
}

const binding = loadAddon() as FdOpsBinding;

/** The flags of open(2) on this machine; Node's own `fs.constants` lacks some. */
export const O: OpenFlags = Object.freeze({ ...binding.O });

/**
 * Closes an fd: close(2). The number is free afterwards even where this throws.
 * @throws SystemError EBADF for a number that is not open; EIO and others where a file system reports late.
 */
export function closeFd(fd: number): void {
  checkResult(binding.close(fd), 'close');
}

/**
 * Closes an fd if that cannot wait for anybody; tells whether it did. It asks no file system, so that it cannot wait
 * itself: an fd on FUSE or NFS is left open, but also one on tmpfs or overlayfs.
 * @throws SystemError EBADF; EIO and others where a file system reports late, and the fd is closed
 */
export function closeAtOnce(fd: number): boolean {
  return checkResult(binding.closeAtOnce(fd), 'close') === 0;
}

/**
 * Closes an fd whose file may be anything: now, or where that may wait, on a thread of the pool soon. Nobody is told
 * when, nor of errors; the number must not be used any more.
 * @throws SystemError EBADF
 */
export function closeUnattended(fd: number): void {
  checkResult(binding.closeUnattended(fd), 'close');
}

/**
 * A close-on-exec duplicate with the lowest free number, sharing the open file description: fcntl(2) F_DUPFD_CLOEXEC.
 * The caller owns it.
 * @throws SystemError EBADF, EMFILE
 */
export function dupFd(fd: number): number {
  return checkResult(binding.dup(fd), 'fcntl');
}

/**
 * The access mode and status flags of the open file description: fcntl(2) F_GETFL.
 * @throws SystemError EBADF
 */
export function getStatusFlags(fd: number): number {
  return checkResult(binding.getStatusFlags(fd), 'fcntl');
}

/**
 * Sets O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME and O_NONBLOCK as `flags` says, for every fd that shares the open file
 * description; other bits are ignored: fcntl(2) F_SETFL.
 * @throws SystemError EBADF (O_PATH too), EINVAL (no direct I/O here), EPERM (O_NOATIME on another's file)
 */
export function setStatusFlags(fd: number, flags: number): void {
  checkResult(binding.setStatusFlags(fd, flags), 'fcntl');
}

/**
 * Whether an exec closes this fd: fcntl(2) F_GETFD.
 * @throws SystemError EBADF
 */
export function getCloseOnExec(fd: number): boolean {
  return checkResult(binding.getCloseOnExec(fd), 'fcntl') !== 0;
}

/**
 * Whether an exec shall close this fd: fcntl(2) F_SETFD.
 * @throws SystemError EBADF
 */
export function setCloseOnExec(fd: number, on: boolean): void {
  checkResult(binding.setCloseOnExec(fd, on), 'fcntl');
}

/**
 * A close-on-exec pipe, `[read end, write end]`: pipe2(2). The caller owns both.
 * @throws SystemError EMFILE
 */
export function pipe(): [number, number] {
  return checkPair(binding.pipe(), 'pipe2');
}

/**
 * Two connected close-on-exec Unix stream sockets: socketpair(2). The caller owns both.
 * @throws SystemError EMFILE
 */
export function socketPair(): [number, number] {
  return checkPair(binding.socketPair(), 'socketpair');
}

function checkPair(result: [number, number] | number, syscall: string): [number, number] {
  if (typeof result !== 'number') return result;
  checkResult(result, syscall);
  throw new TypeError(`${syscall} gave no pair`);
}
