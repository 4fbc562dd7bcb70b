// How does a program leave its process id in a file? `PID` and a newline, mode 0600, locked for as long as the program
// runs, made when everything else is set up and removed at exit, as QEMU's programs do.
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';

import { ofdLock, strerror, SystemError } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';

const LOCK_LENGTH = 1;

/**
 * Writes this process's id to `path` and locks the file.
 *
 * @returns removes the file and lets go of it; never throws
 * @throws FdsetError with QEMU's text
 */
export async function writePidFile(path: string): Promise<() => void> {
  const fd = await openLocked(path);
  const absolute = realpathSync(path);
  const remove = (): void => {
    try {
      if (fstatSync(fd).isFile()) rmSync(absolute, { force: true });
    } catch {
      // The folder is no longer ours to change: there is nobody to tell.
    }
    closeSync(fd);
  };
  try {
    writePid(fd);
    return remove;
  } catch (error) {
    remove();
    const what = (error as NodeJS.ErrnoException).syscall === 'ftruncate' ? 'truncate' : 'write';
    throw pidFileError(`Failed to ${what} pid file`, reasonOf(error), error);
  }
}

function writePid(fd: number): void {
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`, 0);
}

/** The file, once it is locked and still bears the name: another program may have removed it on its way out. */
async function openLocked(path: string): Promise<number> {
  for (;;) {
    const fd = open(path);
    try {
      await ofdLock(fd, 'write', 0, LOCK_LENGTH);
      const locked = fstatSync(fd);
      const named = statSync(path, { throwIfNoEntry: false });
      if (named?.ino === locked.ino && named.dev === locked.dev) return fd;
      closeSync(fd);
    } catch (error) {
      closeSync(fd);
      if (!(error instanceof SystemError)) throw error;
      throw pidFileError('Cannot lock pid file', error.message, error);
    }
  }
}

/** A file of our own making holds the id at once: whoever waits for the file reads it. */
function open(path: string): number {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  try {
    const fd = openSync(path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
    tryWritePid(fd);
    return fd;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw couldNotCreate(path, error);
  }
  try {
    return openSync(path, O_CREAT | O_WRONLY, 0o600);
  } catch (error) {
    throw couldNotCreate(path, error);
  }
}

/** A failure is said once the file is locked: then it is written again. */
function tryWritePid(fd: number): void {
  try {
    writePid(fd);
  } catch {
    // see above
  }
}

function couldNotCreate(path: string, error: unknown): FdsetError {
  return pidFileError(`Could not create '${path}'`, reasonOf(error), error);
}

function reasonOf(error: unknown): string {
  return strerror(-((error as NodeJS.ErrnoException).errno ?? 0));
}

function pidFileError(what: string, reason: string, cause: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_PID_FILE', `cannot create PID file: ${what}: ${reason}`, { cause });
}
