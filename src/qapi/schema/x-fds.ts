// Which files does this process hold in fd sets, from whom, and who uses them? Extensions of fdset's own: QEMU has nothing
// like it, so everything begins with `x-`.
import { array, bool, command, enumeration, event, int, optional, size, str, struct, uint64 } from '../builders.ts';
import type { Infer } from '../types.ts';

const XFdAccess = enumeration('XFdAccess', ['read-only', 'write-only', 'read-write', 'path']);
const XFileType = enumeration('XFileType', ['regular', 'directory', 'block', 'character', 'fifo', 'socket', 'other']);

const XFdTime = struct('XFdTime', { seconds: int, microseconds: int });

/**
 * An open fd. `flags`: the status flags that are set, by the names of open(2). `device`: `MAJOR:MINOR` of the file system.
 * `path`: as the kernel knows it now. What the kernel does not tell is absent.
 */
const XFdFile = struct('XFdFile', {
  fd: int,
  access: XFdAccess,
  flags: array(str),
  type: optional(XFileType),
  device: optional(str),
  inode: optional(uint64),
  size: optional(size),
  path: optional(str),
});

/** Who has passed an fd. `command`: the name of the process then; absent in a sandbox, which cannot read it. */
const XFdOrigin = struct('XFdOrigin', {
  monitor: optional(str),
  'command-line': optional(bool),
  pid: optional(int),
  uid: optional(int),
  gid: optional(int),
  command: optional(str),
});

const XFdMember = struct(
  'XFdMember',
  { opaque: optional(str), added: XFdTime, 'added-by': optional(XFdOrigin) },
  { base: XFdFile },
);

/**
 * An fd that was opened from the set. `member`: the fd that it duplicates, while the set has it. `exports`: the
 * ids of those that use the holder. `shared-with`: the holders of others that share its open file description, and so its OFD locks.
 */
const XFdDup = struct(
  'XFdDup',
  {
    member: optional(int),
    holder: str,
    exports: array(str),
    filename: str,
    opened: XFdTime,
    'shared-with': array(str),
  },
  { base: XFdFile },
);

const XFdset = struct('XFdset', { 'fdset-id': int, fds: array(XFdMember), dups: array(XFdDup) });
export type XFdset = Infer<typeof XFdset>;

/** Every fd of every set, by descending id, and every fd that was opened from one. */
export const xQueryFds = command('x-query-fds', { returns: array(XFdset) });

/** Whether this session is told of changes: the events below go to no other. */
export const xFdsetEvents = command('x-fdset-events', { data: { enable: bool } });

export const xFdsetFdAdded = event('X_FDSET_FD_ADDED', {
  data: { 'fdset-id': int, fd: int, opaque: optional(str), 'added-by': optional(XFdOrigin) },
});
export const xFdsetFdRemoved = event('X_FDSET_FD_REMOVED', {
  data: { 'fdset-id': int, fd: int, opaque: optional(str) },
});
export const xFdsetDupOpened = event('X_FDSET_DUP_OPENED', {
  data: { 'fdset-id': int, fd: int, member: optional(int), holder: str, filename: str },
});
export const xFdsetDupClosed = event('X_FDSET_DUP_CLOSED', {
  data: { 'fdset-id': int, fd: int, holder: str, filename: str },
});

const XFdWriter = struct('XFdWriter', { holder: str, filename: str });

/** `holder` now writes through an open file description that others write through: OFD locks cannot keep them apart. */
export const xFdsetDescriptionShared = event('X_FDSET_DESCRIPTION_SHARED', {
  data: { 'fdset-id': int, fd: int, holder: str, filename: str, 'shared-with': array(XFdWriter) },
});
