// The driver `host_device`: a block device, or a character device that stands in for one.
import {
  blkDiscard,
  blkZeroout,
  blockDeviceGeometry,
  blockDeviceSize,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fallocate,
  SystemError,
} from '../../addon/index.ts';
import { FdsetError } from '../../errors.ts';
import type { BlockDriver } from '../driver.ts';
import type { BlockStatusExtent } from '../node.ts';
import { optionError } from '../options.ts';
import { checkFileOptions, openFilePosix } from './file-posix.ts';
import { isBlockDevice, type FileKind } from './file-source.ts';
import type { Storage } from './posix-io.ts';

const fileTypeMask = 0o170000;
const characterDeviceType = 0o020000;

/** The driver `host_device`. Source: QEMU's qapi/block-core.json, `BlockdevOptionsFile`. */
export const hostDeviceDriver: BlockDriver = {
  name: 'host_device',
  hasFile: false,
  checkOptions: checkFileOptions,
  open: (context, options) => openFilePosix(context, options, device),
};

const device: FileKind = {
  check(filename, stat) {
    if (isBlockDevice(stat) || (stat.mode & fileTypeMask) === characterDeviceType) return;
    throw optionError(`'host_device' driver requires '${filename}' to be either a character or block device`);
  },

  /** A character device ends where it begins. */
  size: async (fd, stat) => (isBlockDevice(stat) ? blockDeviceSize(fd) : 0),

  storage: (stat) => (isBlockDevice(stat) ? new BlockDeviceStorage() : new CharacterDeviceStorage()),

  async resize(_fd, length, current) {
    if (length > current) throw new FdsetError('ERR_FDSET_RESIZE', 'Cannot grow device files');
  },

  imageInfo: () => ({ 'dirty-flag': false, 'format-specific': { type: 'file', data: {} } }),
};

class BlockDeviceStorage implements Storage {
  async zero(
    fd: number,
    offset: number,
    length: number,
    { mayUnmap, fast }: { mayUnmap: boolean; fast: boolean },
  ): Promise<boolean> {
    if (mayUnmap && (await isDone(punch(fd, offset, length)))) return true;
    // BLKZEROOUT falls back to writing, inside the kernel and without telling.
    if (fast) return false;
    return isDone(blkZeroout(fd, offset, length));
  }

  /** Whole logical blocks only: the kernel refuses others, and discarding is advice. */
  async discard(fd: number, offset: number, length: number): Promise<void> {
    const { logicalBlockSize } = await blockDeviceGeometry(fd);
    const start = Math.ceil(offset / logicalBlockSize) * logicalBlockSize;
    const end = Math.floor((offset + length) / logicalBlockSize) * logicalBlockSize;
    if (end > start) await isDone(blkDiscard(fd, start, end - start));
  }

  async status(_fd: number, offset: number, end: number): Promise<BlockStatusExtent[]> {
    return [{ length: end - offset, hole: false, zero: false }];
  }
}

class CharacterDeviceStorage implements Storage {
  async zero(): Promise<boolean> {
    return false;
  }

  async discard(): Promise<void> {
    // It has no space to give back.
  }

  async status(_fd: number, offset: number, end: number): Promise<BlockStatusExtent[]> {
    return [{ length: end - offset, hole: false, zero: false }];
  }
}

function punch(fd: number, offset: number, length: number): Promise<void> {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

/** False: the device, or its driver, cannot. */
async function isDone(operation: Promise<void>): Promise<boolean> {
  try {
    await operation;
    return true;
  } catch (error) {
    const cannot = ['EOPNOTSUPP', 'ENOSYS', 'ENODEV', 'ENOTTY', 'EINVAL'];
    if (error instanceof SystemError && cannot.includes(error.errnoName)) return false;
    throw error;
  }
}
