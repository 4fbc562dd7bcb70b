// Which paths can the daemon open? Its own program, for reading; the rest of the world is refused by a Landlock domain
// that handles every right that the running kernel knows of and this file too. landlock(7).
import { statSync } from 'node:fs';

import { allowPath, closeFd, createRuleset } from '../addon/index.ts';
import type { ProgramFiles } from './program-files.ts';

/** The newest ABI whose rights are known here (Linux 6.15); of a newer kernel its new rights are not handled. */
export const newestAbi = 7;

const executeRight = 1 << 0;
const readFileRight = 1 << 2;
const readFolderRight = 1 << 3;

/** Bits of LANDLOCK_ACCESS_FS_* that came with each ABI: 13 with the first, then REFER, TRUNCATE, IOCTL_DEV. */
const fsRights: readonly (readonly [abi: number, bits: number])[] = [
  [1, 0x1fff],
  [2, 1 << 13],
  [3, 1 << 14],
  [5, 1 << 15],
];
/** LANDLOCK_ACCESS_NET_BIND_TCP and CONNECT_TCP. */
const netRights = 0b11;
/** LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and SIGNAL: towards processes outside; from outside both still reach in. */
const scopes = 0b11;

/** All rights of an ABI that are known here. */
export function rightsOf(abi: number): { readonly fs: number; readonly net: number; readonly scoped: number } {
  const fs = fsRights.filter(([since]) => since <= abi).reduce((bits, [, more]) => bits | more, 0);
  return { fs, net: abi >= 4 ? netRights : 0, scoped: abi >= 6 ? scopes : 0 };
}

/**
 * A ruleset under which only `files` can be opened, and only for what they are there for.
 * @param abi at most {@link newestAbi}.
 * @returns its fd, owned by the caller.
 * @throws SystemError
 */
export function programRuleset(abi: number, files: ProgramFiles): number {
  const { fs, net, scoped } = rightsOf(abi);
  const ruleset = createRuleset(fs, net, scoped);
  try {
    for (const path of files.execute) allowPath(ruleset, path, executeRight | readFileRight);
    for (const path of files.read) {
      const folder = statSync(path).isDirectory();
      allowPath(ruleset, path, folder ? readFileRight | readFolderRight : readFileRight);
    }
  } catch (error) {
    closeFd(ruleset);
    throw error;
  }
  return ruleset;
}
