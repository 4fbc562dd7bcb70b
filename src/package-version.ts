// Which version of fdset is this? Read from its package.json at start, before anything is closed off.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `X.Y.Z` */
export const PACKAGE_VERSION: string = readVersion();

/** package.json is one level up from the source and two from dist/src. */
function readVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error('cannot find the package.json that fdset came with');
    folder = dirname(folder);
  }
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}
