// Which files can `@PART` become? Those of the folder that it names; after a whole name the modes.
import { readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname } from 'node:path';

/** What may stand in the place of `part`, which begins with `@`. */
export function completeFile(part: string): string[] {
  const quote = /^@(["'])/.exec(part)?.[1] ?? '';
  const path = part.slice(1 + quote.length);
  if (quote === '' && /:[rw]*$/.test(path)) return modes(part.slice(0, part.lastIndexOf(':')));
  const folder = path.endsWith('/') ? path : path === '' ? '' : dirname(path) === '.' ? '' : `${dirname(path)}/`;
  const begun = path.endsWith('/') || path === '' ? '' : basename(path);
  const written = folder === './' || !path.startsWith('./') ? folder : `./${folder.replace(/^\.\//, '')}`;
  const found = namesIn(folder)
    .filter((name) => name.startsWith(begun) && (begun !== '' || !name.startsWith('.')))
    .map((name) => fileCandidate(written, name, quote));
  return found.length === 1 && found[0] === part ? modes(part) : found;
}

function modes(file: string): string[] {
  return ['r', 'rw', 'w'].map((mode) => `${file}:${mode} `);
}

function fileCandidate(folder: string, name: string, quote: string): string {
  const path = folder + name;
  if (isFolder(path)) return `@${quote}${path}/`;
  const wanted = quote === '' && /[\s"']/.test(path) ? '"' : quote;
  return `@${wanted}${path}${wanted}`;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(expandHome(folder === '' ? '.' : folder));
  } catch {
    return []; // no such folder, or not for this user
  }
}

function isFolder(path: string): boolean {
  return statSync(expandHome(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** `~/` is what a shell would have made of it. */
export function expandHome(path: string): string {
  return path.startsWith('~/') ? homedir() + path.slice(1) : path;
}
