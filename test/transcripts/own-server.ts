// Which server is judged? The storage daemon as it is built here, or what FDSET_TRANSCRIPT_SERVER names.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: this file runs from dist/. */
export const root: string = rootFolder();

/** The program and its first arguments; a relative path would be looked for in the folder of a scenario. */
export const ownServer: readonly string[] = process.env['FDSET_TRANSCRIPT_SERVER']?.split(' ') ?? [
  process.execPath,
  join(root, 'dist', 'src', 'cli', 'storage-daemon-main.js'),
];

function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
