// Which files does another process have open, as its folder in /proc tells? Nothing here asks the files themselves.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { O } from '../addon/index.ts';

/** An open file of a process. */
export interface ProcessFile {
  readonly fd: number;
  readonly access: 'read-only' | 'write-only' | 'read-write';
  /** As the kernel knows it. */
  readonly path: string;
  /** The same for all fds on one file: its mount and inode. */
  readonly file: string;
}

/** The open files of a process by fd; empty where this user may not see them, or the process is gone. */
export function processFiles(pid: number): Map<number, ProcessFile> {
  const found = new Map<number, ProcessFile>();
  for (const name of foldersOf(`/proc/${pid}/fd`)) {
    const file = fileOf(pid, Number(name));
    if (file !== undefined) found.set(file.fd, file);
  }
  return found;
}

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function fileOf(pid: number, fd: number): ProcessFile | undefined {
  try {
    const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
    return parseFdinfo(fd, path, readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'));
  } catch {
    return undefined; // closed meanwhile
  }
}

/** Reads proc_pid_fdinfo(5): lines of a name, a colon and a value; the flags are octal. */
export function parseFdinfo(fd: number, path: string, text: string): ProcessFile {
  const values = new Map(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]));
  const mode = Number.parseInt(values.get('flags') ?? '0', 8) & O.O_ACCMODE;
  const access = mode === O.O_RDONLY ? 'read-only' : mode === O.O_WRONLY ? 'write-only' : 'read-write';
  return { fd, access, path, file: `${values.get('mnt_id')}:${values.get('ino') ?? path}` };
}
