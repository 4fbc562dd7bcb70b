// The driver `file`: a regular file, opened by name or from an fd set.
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  fallocate,
  ftruncate,
  pwrite,
  seekData,
  seekHole,
  strerror,
  SystemError,
} from '../../addon/index.ts';
import { FdsetError } from '../../errors.ts';
import type { BlockDriver } from '../driver.ts';
import { roundUpToSector, type BlockStatusExtent } from '../node.ts';
import { optionError } from '../options.ts';
import { checkFileOptions, openFilePosix } from './file-posix.ts';
import type { FileKind } from './file-source.ts';
import type { Storage } from './posix-io.ts';

/** Bytes that are written at the start of a file that is no longer empty. */
const firstBlock = 4096;
const fileTypeMask = 0o170000;
const regularFileType = 0o100000;

/** The driver `file`. Source: QEMU's qapi/block-core.json, `BlockdevOptionsFile`. */
export const fileDriver: BlockDriver = {
  name: 'file',
  hasFile: false,
  checkOptions: checkFileOptions,
  open: (context, options) => openFilePosix(context, options, regularFile),
};

const regularFile: FileKind = {
  check(filename, stat) {
    if ((stat.mode & fileTypeMask) === regularFileType) return;
    throw optionError(`'file' driver requires '${filename}' to be a regular file`);
  },

  async size(fd, stat) {
    // A file of procfs has no size and cannot be sought: it only looks regular.
    if (stat.size === 0) await seekEnd(fd);
    return stat.size;
  },

  storage: () => new RegularFileStorage(),

  async resize(fd, length, current) {
    try {
      await ftruncate(fd, length);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new FdsetError('ERR_FDSET_RESIZE', `Could not resize file: ${strerror(error.errno)}`, { cause: error });
    }
    if (current === 0 && length > 0) await allocateFirstBlock(fd, length);
  },

  imageInfo: () => ({ 'dirty-flag': false, 'format-specific': { type: 'file', data: {} } }),
};

/** @throws SystemError EINVAL where the file cannot be sought. */
async function seekEnd(fd: number): Promise<void> {
  try {
    await seekHole(fd, 0);
  } catch (error) {
    if (!hasErrno(error, 'ENXIO')) throw error;
  }
}

/** As QEMU does with a file that was empty, so that there is a block to try O_DIRECT on. It need not succeed. */
async function allocateFirstBlock(fd: number, length: number): Promise<void> {
  try {
    await pwrite(fd, Buffer.alloc(Math.min(length, firstBlock)), 0);
  } catch {
    // No space, or O_DIRECT itself: the file is as long as it should be.
  }
}

class RegularFileStorage implements Storage {
  /** The modes of fallocate(2) that this file system has refused. */
  readonly #refused = new Set<number>();

  async zero(fd: number, offset: number, length: number, { mayUnmap }: { mayUnmap: boolean }): Promise<boolean> {
    if (mayUnmap && (await this.#punch(fd, offset, length))) return true;
    if (await this.#fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length)) return true;
    // A hole reads as zeros; filled with unwritten blocks it is allocated, too. (tmpfs has these two and not the above.)
    if (!(await this.#punch(fd, offset, length))) return false;
    await this.#fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
    return true;
  }

  async discard(fd: number, offset: number, length: number): Promise<void> {
    await this.#punch(fd, offset, length);
  }

  /** What lseek(2) tells of data and holes; a file system that cannot tell has data everywhere. */
  async status(fd: number, offset: number, end: number, maxExtents: number): Promise<BlockStatusExtent[]> {
    const extents: BlockStatusExtent[] = [];
    let position = offset;
    while (position < end && extents.length < maxExtents) {
      const data = await nextData(fd, position, end);
      if (data > position) extents.push({ length: data - position, hole: true, zero: true });
      position = data;
      if (position === end || extents.length === maxExtents) break;
      const hole = await nextHole(fd, position, end);
      extents.push({ length: hole - position, hole: false, zero: false });
      position = hole;
    }
    return extents;
  }

  #punch(fd: number, offset: number, length: number): Promise<boolean> {
    return this.#fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }

  /** False: the file system cannot. Other errors (ENOSPC, EIO) are errors. */
  async #fallocate(fd: number, mode: number, offset: number, length: number): Promise<boolean> {
    if (this.#refused.has(mode)) return false;
    try {
      await fallocate(fd, mode, offset, length);
      return true;
    } catch (error) {
      if (!hasErrno(error, 'EOPNOTSUPP', 'ENOSYS', 'ENODEV', 'EINVAL')) throw error;
      // EINVAL is about this range, the others are about the file system.
      if (!hasErrno(error, 'EINVAL')) this.#refused.add(mode);
      return false;
    }
  }
}

/** Where data begins, from `position` on; `end` where there is none before. */
async function nextData(fd: number, position: number, end: number): Promise<number> {
  try {
    return Math.min(await seekData(fd, position), end);
  } catch (error) {
    return hasErrno(error, 'ENXIO') ? end : position;
  }
}

/** Where the data that begins at `position` ends. The part of a sector that is in the file makes all of it data. */
async function nextHole(fd: number, position: number, end: number): Promise<number> {
  try {
    const hole = await seekHole(fd, position);
    // Somebody punched a hole here since we looked: count the sector as data, which is safe, and get on.
    return Math.min(Math.max(roundUpToSector(hole), position + 1), end);
  } catch {
    return end;
  }
}

function hasErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof SystemError && names.includes(error.errnoName);
}
