// What is known of an open file without asking its server? See native/file_facts.c.
import { loadAddon } from './load.ts';
import { SystemError } from './system-error.ts';

interface FileFactsBinding {
  fileFacts(fd: number): [number, number, number, bigint, bigint] | number;
  sameDescription(one: number, other: number): number;
}

/** What kind of file it is; `other`: one that stat(2) does not name. */
export type FileType = 'regular' | 'directory' | 'block' | 'character' | 'fifo' | 'socket' | 'other';

/** What the kernel has in memory about a file. */
export interface FileFacts {
  readonly type: FileType;
  /** The device it lies on, as `MAJOR:MINOR`. */
  readonly device: string;
  readonly inode: bigint;
  /** Bytes, of a block device too; 0 where it has no size. */
  readonly size: bigint;
}

const binding = loadAddon() as FileFactsBinding;

const fileTypes: Readonly<Record<number, FileType>> = {
  0o100000: 'regular',
  0o040000: 'directory',
  0o060000: 'block',
  0o020000: 'character',
  0o010000: 'fifo',
  0o140000: 'socket',
};

/**
 * The facts about an open file as the kernel remembers them: statx(2) with AT_STATX_DONT_SYNC, which does not wait for a
 * server (FUSE, NFS). What the server has changed meanwhile is not seen.
 * @throws SystemError EBADF
 */
export function fileFacts(fd: number): FileFacts {
  const facts = binding.fileFacts(fd);
  if (typeof facts === 'number') throw new SystemError(-facts, 'statx');
  const [mode, major, minor, inode, size] = facts;
  return { type: fileTypes[mode & 0o170000] ?? 'other', device: `${major}:${minor}`, inode, size };
}

/**
 * Whether two fds share one open file description, and so their OFD locks: fcntl(2) F_DUPFD_QUERY, or kcmp(2) before
 * Linux 6.10. Undefined where the kernel does not tell, or may not.
 */
export function sameDescription(one: number, other: number): boolean | undefined {
  const result = binding.sameDescription(one, other);
  return result < 0 ? undefined : result === 1;
}
