// Where do the sockets of `fdset serve` live? In a folder that only this user may enter: $XDG_RUNTIME_DIR/fdset, for
// root /run/fdset, and where there is no such place a folder of this user's own under the temporary one.
import { chmodSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CliError } from './cli-error.ts';

/**
 * Makes a new folder of mode 0700 for the sockets of this process; the caller removes it.
 *
 * @throws CliError where the place for it belongs to somebody else
 */
export function makeRuntimeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = baseFolder(environment);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const stat = lstatSync(base);
  if (!stat.isDirectory() || stat.uid !== process.getuid!()) {
    throw new CliError(`${base}: is not a folder of this user's own: set XDG_RUNTIME_DIR, or use --socket`);
  }
  chmodSync(base, 0o700);
  return mkdtempSync(join(base, 'serve-'));
}

function baseFolder(environment: NodeJS.ProcessEnv): string {
  const uid = process.getuid!();
  if (uid === 0) return '/run/fdset';
  const runtime = environment['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'fdset') : join(tmpdir(), `fdset-${uid}`);
}
