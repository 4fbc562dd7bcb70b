// Which open fds has whoever started this process left to it, and which are Node's own?
//
// At its start Node sets close-on-exec on the inherited fds up to number 15 (and on those that follow without a gap),
// and then opens fourteen or more of its own, at the lowest numbers that are free: event polls, eventfds, pipes with
// both ends in this process, later /dev/null. All of its own are close-on-exec too. Hence:
//
//   not close-on-exec                                         inherited
//   close-on-exec: event fd, pipe to ourselves, IPC channel   Node's
//   close-on-exec, above Node's event fds                     Node's, or opened by us: what was marked at the start is
//                                                             below them, as more of them were opened than were free
//   close-on-exec, anything else                              inherited
import { readdirSync, readlinkSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

import { O, getCloseOnExec, getStatusFlags, setCloseOnExec } from '../addon/index.ts';
import { notInherited } from './fdset-errors.ts';
import { OwnedFd } from './owned-fd.ts';

/** An open fd, and what proc(5) and fcntl(2) tell of it. */
export interface OpenFd {
  readonly fd: number;
  /** Such as `/dev/null`, `pipe:[1234]` or `anon_inode:[eventpoll]`. */
  readonly link: string;
  readonly closeOnExec: boolean;
  readonly statusFlags: number;
}

// Fds belong to the process, and so does this: those that nobody has taken yet, once they were listed.
let inherited: Set<number> | undefined;

/**
 * The numbers of the inherited fds above standard error that nobody has taken. The first call looks, and sets
 * close-on-exec on all of them, so that no child gets one by accident: to be made by a program on its main thread before
 * it opens anything. They stay open as long as nobody takes them.
 * @throws Error on a worker thread
 */
export function listInheritedFds(): readonly number[] {
  return [...inheritedFds()];
}

/**
 * Says which fds were inherited, in place of looking: for a process that was told, and that cannot read /proc. Sets
 * close-on-exec on all of them.
 * @throws SystemError EBADF: one of them is not open
 */
export function declareInheritedFds(fds: readonly number[]): void {
  for (const fd of fds) setCloseOnExec(fd, true);
  inherited = new Set(fds);
}

/**
 * Takes ownership of an inherited fd, by its number.
 * @throws FdsetError `fd is not valid or already in use`: not open at the start, Node's own, or taken before. For
 * standard input, output and error too, where QEMU has an own text that the caller has to give.
 */
export function takeInheritedFd(fd: number): OwnedFd {
  if (!inheritedFds().delete(fd)) throw notInherited();
  return new OwnedFd(fd);
}

function inheritedFds(): Set<number> {
  if (inherited !== undefined) return inherited;
  if (!isMainThread) throw new Error('inherited fds belong to the main thread');
  const found = inheritedAmong(openFds(), channelFd());
  for (const { fd, closeOnExec } of found) if (!closeOnExec) setCloseOnExec(fd, true);
  inherited = new Set(found.map(({ fd }) => fd));
  return inherited;
}

/** Which of these fds were inherited? The rules above, on plain data. `channel` is the fd of Node's IPC channel. */
export function inheritedAmong(open: readonly OpenFd[], channel: number | undefined): OpenFd[] {
  const eventFds = open.filter(({ link, closeOnExec }) => closeOnExec && isEventLink(link)).map(({ fd }) => fd);
  const lastEventFd = Math.max(-1, ...eventFds);
  return open.filter((each) => {
    if (each.fd <= 2 || each.fd === channel) return false;
    if (!each.closeOnExec) return true;
    return !isEventLink(each.link) && !isPipeToOurselves(each, open) && each.fd < lastEventFd;
  });
}

function isEventLink(link: string): boolean {
  return /^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/.test(link);
}

function isPipeToOurselves(end: OpenFd, open: readonly OpenFd[]): boolean {
  const mode = ({ statusFlags }: OpenFd) => statusFlags & O.O_ACCMODE;
  return (
    end.link.startsWith('pipe:') &&
    open.some((other) => other.closeOnExec && other.link === end.link && mode(other) !== mode(end))
  );
}

/** Standard input, output and error are left out. */
function openFds(): OpenFd[] {
  const numbers = readdirSync('/proc/self/fd').map(Number);
  return numbers
    .sort((left, right) => left - right)
    .filter((fd) => fd > 2)
    .flatMap((fd) => describe(fd) ?? []);
}

/** Undefined for the fd that read the directory: it is closed by now. */
function describe(fd: number): OpenFd | undefined {
  try {
    const link = readlinkSync(`/proc/self/fd/${fd}`);
    return { fd, link, closeOnExec: getCloseOnExec(fd), statusFlags: getStatusFlags(fd) };
  } catch {
    return undefined;
  }
}

/** A process that Node has forked with an IPC channel. */
function channelFd(): number | undefined {
  return (process.channel as { readonly fd?: number } | undefined)?.fd;
}
