// How does a program leave its process id in a file? `PID` and a newline, mode 0600, made when everything else is set
// up and removed at exit, as QEMU's programs do.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { constants } from 'node:fs';

import { strerror } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';

/**
 * Writes this process's id to `path`.
 *
 * @returns removes the file; never throws
 * @throws FdsetError with QEMU's text
 */
export function writePidFile(path: string): () => void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_CREAT | constants.O_WRONLY | constants.O_TRUNC, 0o600);
  } catch (error) {
    const reason = strerror(-((error as NodeJS.ErrnoException).errno ?? 0));
    throw new FdsetError('ERR_FDSET_PID_FILE', `cannot create PID file: Could not create '${path}': ${reason}`, {
      cause: error,
    });
  }
  try {
    writeSync(fd, `${process.pid}\n`);
  } finally {
    closeSync(fd);
  }
  return () => {
    try {
      rmSync(path, { force: true });
    } catch {
      // The folder is no longer ours to change: there is nobody to tell.
    }
  };
}
