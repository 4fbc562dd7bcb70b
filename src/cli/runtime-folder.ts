// Where do the sockets of `fdset serve` live? In a folder that only this user may enter: $XDG_RUNTIME_DIR/fdset, for
// root /run/fdset, and where there is no such place a folder of this user's own under the temporary one.
//
// Each process has a folder of its own there and holds a lock on it, which the kernel ends with the process: so who
// starts next knows which folders a killed one has left.
import { chmodSync, closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ofdLock, ofdTestLock } from '../addon/index.ts';
import { CliError } from './cli-error.ts';

const prefix = 'serve-';
/** A folder without a lock may be about to get it, for as long as this, in milliseconds. */
const timeToLock = 60_000;

/** A folder for the sockets of this process. */
export interface RuntimeFolder {
  readonly path: string;
  /** Removes it with all that is in it. */
  readonly remove: () => void;
}

/**
 * Makes a new folder of mode 0700, and removes those that dead processes have left.
 *
 * @throws CliError where the place for it belongs to somebody else
 */
export async function makeRuntimeFolder(environment: NodeJS.ProcessEnv = process.env): Promise<RuntimeFolder> {
  const base = baseFolder(environment);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const stat = lstatSync(base);
  if (!stat.isDirectory() || stat.uid !== process.getuid!()) {
    throw new CliError(`${base}: is not a folder of this user's own: set XDG_RUNTIME_DIR, or use --socket`);
  }
  chmodSync(base, 0o700);
  await removeAbandoned(base);
  const path = mkdtempSync(join(base, prefix));
  const fd = openSync(path, 'r');
  const remove = (): void => {
    rmSync(path, { recursive: true, force: true });
    closeSync(fd);
  };
  try {
    // For writing a folder cannot be opened, and so not locked.
    await ofdLock(fd, 'read', 0, 1);
    return { path, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function baseFolder(environment: NodeJS.ProcessEnv): string {
  const uid = process.getuid!();
  if (uid === 0) return '/run/fdset';
  const runtime = environment['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'fdset') : join(tmpdir(), `fdset-${uid}`);
}

async function removeAbandoned(base: string): Promise<void> {
  for (const name of readdirSync(base)) {
    const path = join(base, name);
    if (name.startsWith(prefix) && (await isAbandoned(path))) rmSync(path, { recursive: true, force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory() || stat.uid !== process.getuid!() || Date.now() - stat.mtimeMs < timeToLock) return false;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return false; // somebody else has just removed it
  }
  try {
    return !(await ofdTestLock(fd, 'write', 0, 1));
  } finally {
    closeSync(fd);
  }
}
