// How does a block node get at a file? Through a function that the graph was given: `/dev/fdset/N` duplicates an fd of a
// set, everything else is open(2) in the io pool.
import { constants } from 'node:os';

import { O, SystemError, close, open, strerror } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { parseDevFdset, type FdsetTable } from '../fds/index.ts';

/** A file that has been opened for a node, which owns it. */
export interface OpenedFile {
  readonly fd: number;
  /** Two opened files with the same `description` share an open file description, and so their OFD locks. */
  readonly description?: object;
  /** Closes the fd. Called once, when nothing uses it any more; may take as long as the file system likes. */
  close(): void | Promise<void>;
}

/**
 * Opens `filename` with open(2) flags (O_CLOEXEC is implied). `holder` names who will hold the file, for the ledger of
 * the fd sets. Rejects with QEMU's text.
 */
export type OpenFile = (filename: string, flags: number, holder: string) => Promise<OpenedFile>;

/** By what name a node holds its file, for the ledger. */
export function fileHolder(nodeName: string): string {
  return `block node '${nodeName}'`;
}

/**
 * The function that a storage daemon opens files with.
 *
 * Rejects with the texts of fdset.md §6 for `/dev/fdset/N`, else with `Could not open 'PATH': REASON`.
 */
export function fileOpener(fdsets: FdsetTable): OpenFile {
  return async (filename, flags, holder) => {
    const id = parseDevFdset(filename);
    if (id === undefined) return openPath(filename, flags);
    const dup = fdsets.openDup(id, flags, holder, filename);
    return { fd: dup.fd, description: dup.description, close: () => dup.closeInPool() };
  };
}

/** Opens by path only, with open(2) in the io pool. Rejects with `Could not open 'PATH': REASON`. */
export async function openPath(filename: string, flags: number): Promise<OpenedFile> {
  // A C string ends at its first NUL, so no path that holds one can exist.
  if (filename.includes('\0')) throw couldNotOpen(filename, new SystemError(constants.errno.ENOENT, 'open'));
  try {
    const fd = await open(filename, flags | O.O_NOCTTY);
    return { fd, close: () => close(fd) };
  } catch (error) {
    throw couldNotOpen(filename, error, (flags & O.O_DIRECT) !== 0);
  }
}

function couldNotOpen(filename: string, error: unknown, direct = false): FdsetError {
  let reason = error instanceof SystemError ? strerror(error.errno) : String(error);
  if (direct && error instanceof SystemError && error.errnoName === 'EINVAL') {
    reason = 'filesystem does not support O_DIRECT';
  }
  return new FdsetError('ERR_FDSET_OPEN', `Could not open '${filename}': ${reason}`, { cause: error });
}
