// Files handed to a monitor: named ones and fd sets. From QEMU's qapi/misc.json.
import { array, command, int, optional, str, struct } from '../builders.ts';
import type { Infer } from '../types.ts';

/** Keeps the fd that came with the command under a name of this monitor. */
export const getfd = command('getfd', { data: { fdname: str } });

export const closefd = command('closefd', { data: { fdname: str } });

export const AddfdInfo = struct('AddfdInfo', { 'fdset-id': int, fd: int });
export type AddfdInfo = Infer<typeof AddfdInfo>;

/** Puts the fd that came with the command into an fd set. */
export const addFd = command('add-fd', {
  data: { 'fdset-id': optional(int), opaque: optional(str) },
  returns: AddfdInfo,
});

export const removeFd = command('remove-fd', { data: { 'fdset-id': int, fd: optional(int) } });

export const FdsetFdInfo = struct('FdsetFdInfo', { fd: int, opaque: optional(str) });
export const FdsetInfo = struct('FdsetInfo', { 'fdset-id': int, fds: array(FdsetFdInfo) });
export type FdsetInfo = Infer<typeof FdsetInfo>;

export const queryFdsets = command('query-fdsets', { returns: array(FdsetInfo) });
