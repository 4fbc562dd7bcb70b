// How do requests become system calls on an fd? Reads and writes are carried through short results, zeros and discards go
// to the storage below (a file, a device), and what O_DIRECT would refuse is padded to aligned blocks. (The memory is
// aligned by the io pool, which gives the kernel pages of its own.)
import { constants } from 'node:os';

import { fdatasync, fstat, ftruncate, pread, pwrite, SystemError } from '../../addon/index.ts';
import { FlushTracker } from '../flush-tracker.ts';
import type { HeldFile } from '../held-file.ts';
import type { BlockIo, BlockStatusExtent } from '../node.ts';
import { RangeLock } from '../range-lock.ts';
import { RequestQueue, type RequestOwner } from '../request-queue.ts';

/** What differs between a regular file and a device. Ranges lie within the node. */
export interface Storage {
  /** Makes a range read as zeros without writing them. False: it cannot. `fast` rules out what writes inside the kernel. */
  zero(fd: number, offset: number, length: number, options: { mayUnmap: boolean; fast: boolean }): Promise<boolean>;
  /** Gives the space of a range back where it can. */
  discard(fd: number, offset: number, length: number): Promise<void>;
  /** At least one extent from `offset` on, up to `end` at most. */
  status(fd: number, offset: number, end: number, maxExtents: number): Promise<BlockStatusExtent[]>;
}

/** What the requests of one node need to know about it. */
export interface PosixIoFacts {
  readonly storage: Storage;
  /** Bytes; 1 unless the file is open with O_DIRECT. */
  readonly alignment: number;
  readonly noFlush: boolean;
  readonly requestsPerNode: number;
  /** The length of the node. */
  length(): number;
}

const zeros = Buffer.alloc(1024 * 1024);

/** The I/O of `file` and `host_device` nodes. */
export class PosixIo implements BlockIo {
  /** Where requests go from now on; those in flight stay with the file they began on. */
  file: HeldFile;
  readonly #facts: PosixIoFacts;
  readonly #queue: RequestQueue;
  readonly #flushes = new FlushTracker();
  readonly #ranges = new RangeLock();

  constructor(file: HeldFile, facts: PosixIoFacts) {
    this.file = file;
    this.#facts = facts;
    this.#queue = new RequestQueue(facts.requestsPerNode);
  }

  /** Requests that are with the kernel. */
  get inFlight(): number {
    return this.#queue.inFlight;
  }

  read(offset: number, buffer: Uint8Array, owner?: RequestOwner): Promise<void> {
    return this.#request(owner, async (fd) => {
      const { start, end } = this.#alignedRange(offset, buffer.length);
      if (end - start === buffer.length) return this.#readBlocks(fd, buffer, offset, owner);
      const blocks = Buffer.alloc(end - start);
      await this.#readBlocks(fd, blocks, start, owner);
      buffer.set(blocks.subarray(offset - start, offset - start + buffer.length));
    });
  }

  async write(offset: number, data: Uint8Array, { fua }: { fua: boolean }, owner?: RequestOwner): Promise<void> {
    const dsync = fua && !this.#facts.noFlush;
    let stable = false;
    try {
      await this.#request(owner, (fd) => this.#writeBlocks(fd, data, offset, dsync, owner));
      stable = dsync;
    } finally {
      if (!stable) this.#flushes.wrote();
    }
  }

  async writeZeroes(
    offset: number,
    length: number,
    { fua, mayUnmap, fast }: { fua: boolean; mayUnmap: boolean; fast: boolean },
    owner?: RequestOwner,
  ): Promise<void> {
    try {
      await this.#request(owner, async (fd) => {
        const zero = (): Promise<boolean> => this.#facts.storage.zero(fd, offset, length, { mayUnmap, fast });
        if (await this.#ranges.hold(offset, offset + length, false, zero)) return;
        if (fast) throw new SystemError(constants.errno.EOPNOTSUPP, 'fallocate');
        await this.#writeZeros(fd, offset, length, owner);
      });
    } finally {
      this.#flushes.wrote();
    }
    if (fua) await this.flush();
  }

  async discard(offset: number, length: number, { fua }: { fua: boolean }, owner?: RequestOwner): Promise<void> {
    try {
      await this.#request(owner, (fd) =>
        this.#ranges.hold(offset, offset + length, false, () => this.#facts.storage.discard(fd, offset, length)),
      );
    } finally {
      this.#flushes.wrote();
    }
    if (fua) await this.flush();
  }

  /** A flush belongs to nobody: those who ask at the same time share one. */
  async flush(): Promise<void> {
    if (this.#facts.noFlush) return;
    // With O_DIRECT the data is not in the page cache, and so cannot be lost there by a failed flush.
    const sticky = this.#facts.alignment === 1;
    await this.#flushes.flush(() => this.#request(undefined, (fd) => fdatasync(fd)), { sticky });
  }

  blockStatus(offset: number, length: number, maxExtents: number, owner?: RequestOwner): Promise<BlockStatusExtent[]> {
    return this.#request(owner, (fd) => this.#facts.storage.status(fd, offset, offset + length, maxExtents));
  }

  abandon(owner: RequestOwner): void {
    this.#queue.abandon(owner);
  }

  /** Takes back every request that has not begun. */
  abandonAll(): void {
    this.#queue.abandon();
  }

  /** Runs `operation` as one of the node's requests; it changes the file. */
  async change(operation: (fd: number) => Promise<void>): Promise<void> {
    try {
      await this.#request(undefined, operation);
    } finally {
      this.#flushes.wrote();
    }
  }

  #request<T>(owner: RequestOwner | undefined, operation: (fd: number) => Promise<T>): Promise<T> {
    return this.#queue.run(() => this.file.use(operation), owner);
  }

  async #writeZeros(fd: number, offset: number, length: number, owner: RequestOwner | undefined): Promise<void> {
    for (let done = 0; done < length; done += zeros.length) {
      const part = zeros.subarray(0, Math.min(zeros.length, length - done));
      await this.#writeBlocks(fd, part, offset + done, false, owner);
    }
  }

  /** Writes `data`, after reading around it where its ends are not aligned. */
  #writeBlocks(
    fd: number,
    data: Uint8Array,
    offset: number,
    dsync: boolean,
    owner: RequestOwner | undefined,
  ): Promise<void> {
    const { start, end } = this.#alignedRange(offset, data.length);
    const isAligned = end - start === data.length;
    return this.#ranges.hold(start, end, !isAligned, async () => {
      if (isAligned) return writeFully(fd, data, offset, dsync, owner);
      const blocks = await this.#readAround(fd, start, end, offset, data.length, owner);
      blocks.set(data, offset - start);
      await writeFully(fd, blocks, start, dsync, owner);
      // The padding must not make the image longer than the node.
      if (end > this.#facts.length()) await ftruncate(fd, this.#facts.length());
    });
  }

  /** The blocks from `start` to `end`, of which only the first and the last are read: the rest is to be overwritten. */
  async #readAround(
    fd: number,
    start: number,
    end: number,
    offset: number,
    length: number,
    owner: RequestOwner | undefined,
  ): Promise<Buffer> {
    const { alignment } = this.#facts;
    const blocks = Buffer.alloc(end - start);
    const last = end - start - alignment;
    if (offset > start || last === 0) await this.#readBlocks(fd, blocks.subarray(0, alignment), start, owner);
    if (offset + length < end && last > 0) await this.#readBlocks(fd, blocks.subarray(last), start + last, owner);
    return blocks;
  }

  /** Fills `buffer`, whose range is aligned; what lies behind the end of the file is zeros. */
  async #readBlocks(fd: number, buffer: Uint8Array, offset: number, owner: RequestOwner | undefined): Promise<void> {
    let done = 0;
    while (done < buffer.length) {
      checkOwner(owner);
      const count = await this.#readSome(fd, done === 0 ? buffer : buffer.subarray(done), offset + done);
      if (count === 0) break;
      done += count;
    }
    if (done < buffer.length) buffer.fill(0, done);
  }

  /** Bytes read, 0 at the end of the file, which with O_DIRECT may cut a block: reading on from there is EINVAL. */
  async #readSome(fd: number, buffer: Uint8Array, offset: number): Promise<number> {
    try {
      return await pread(fd, buffer, offset);
    } catch (error) {
      const isCut =
        offset % this.#facts.alignment !== 0 && error instanceof SystemError && error.errnoName === 'EINVAL';
      if (isCut && offset >= (await fstat(fd)).size) return 0;
      throw error;
    }
  }

  #alignedRange(offset: number, length: number): { start: number; end: number } {
    const { alignment } = this.#facts;
    return {
      start: offset - (offset % alignment),
      end: Math.ceil((offset + length) / alignment) * alignment,
    };
  }
}

async function writeFully(
  fd: number,
  data: Uint8Array,
  offset: number,
  dsync: boolean,
  owner: RequestOwner | undefined,
): Promise<void> {
  let done = 0;
  while (done < data.length) {
    checkOwner(owner);
    const count = await pwrite(fd, done === 0 ? data : data.subarray(done), offset + done, { dsync });
    if (count === 0) throw new SystemError(constants.errno.EIO, 'pwrite');
    done += count;
  }
}

/** Between two system calls of one request: nobody may write any more whom the graph believes gone. */
function checkOwner(owner: RequestOwner | undefined): void {
  if (owner?.abandoned === true) throw new SystemError(constants.errno.ECANCELED, 'block request');
}
