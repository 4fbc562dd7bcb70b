// Which requests need no thread? Reads of what is cached and small writes, on file systems that are known not to wait for
// anybody: a hop to a thread and back costs ten times as much as the copy itself (docs/decisions/block-layer.md).
//
// FUSE, network and stacked file systems are not on the list: there even a cached page may have to be asked for. Reads say
// RWF_NOWAIT, and what is not cached goes to the pool. Writes have no such flag that works on ext4 or tmpfs; they copy to the
// page cache, and wait only where the kernel holds writers back: one that has taken long sends those after it to the pool
// for a while.
import { type FileStatus, preadCached, preadNow, pwriteNow } from '../../addon/index.ts';

/** Magic numbers of statfs(2). */
const EXT4 = 0xef53;
const XFS = 0x58465342;
const BTRFS = 0x9123683e;
const TMPFS = 0x01021994;

const fileTypeMask = 0o170000;
const regularFileType = 0o100000;
const blockDeviceType = 0o060000;

/** Longer requests go to the pool, so that no request holds up the event loop for long. Bytes. */
const LONGEST_READ = 64 * 1024;
const LONGEST_WRITE = 64 * 1024;
/** A write that takes longer was held back; the next ones are not tried for so long. Milliseconds. */
const SLOW_WRITE = 1;
const SLOW_FOR = 1000;

const EOPNOTSUPP = -95;

/** Does small I/O on one open file at once where that does not wait. */
export class InlineIo {
  readonly #readNow: (fd: number, buffer: Uint8Array, position: number) => number;
  #mayRead = true;
  #slowUntil = 0;

  private constructor(inMemory: boolean) {
    // tmpfs has no RWF_NOWAIT, and needs none.
    this.#readNow = inMemory ? preadNow : preadCached;
  }

  /** Undefined where everything has to go to the pool: another file system, or O_DIRECT, which waits for the disk. */
  static for(stat: FileStatus, fileSystem: number, direct: boolean): InlineIo | undefined {
    const type = stat.mode & fileTypeMask;
    if (direct) return undefined;
    // A device's file lies on devtmpfs, which says nothing of the device.
    if (type === blockDeviceType) return new InlineIo(false);
    if (type !== regularFileType) return undefined;
    if (fileSystem === TMPFS) return new InlineIo(true);
    return [EXT4, XFS, BTRFS].includes(fileSystem) ? new InlineIo(false) : undefined;
  }

  /** Fills the buffer; false where it is to be read by a thread: some of it may be read already. */
  read(fd: number, buffer: Uint8Array, position: number): boolean {
    if (!this.#mayRead || buffer.length > LONGEST_READ) return false;
    const count = this.#readNow(fd, buffer, position);
    if (count === EOPNOTSUPP) this.#mayRead = false;
    return count === buffer.length;
  }

  /** Writes all of it; false where a thread is to do it, which also finds out the error: some may be written already. */
  write(fd: number, data: Uint8Array, position: number): boolean {
    if (data.length > LONGEST_WRITE) return false;
    const start = performance.now();
    if (start < this.#slowUntil) return false;
    const count = pwriteNow(fd, data, position);
    const end = performance.now();
    if (end - start > SLOW_WRITE) this.#slowUntil = end + SLOW_FOR;
    return count === data.length;
  }
}
