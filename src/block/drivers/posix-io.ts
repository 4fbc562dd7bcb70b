// How do the requests of a node become system calls on its fd? Reads and writes through aligned-io.ts, zeros and discards
// through the storage below (a file, a device), as many at a time as the node may have in flight.
import { constants } from 'node:os';

import { fdatasync, SystemError } from '../../addon/index.ts';
import { FlushTracker } from '../flush-tracker.ts';
import type { HeldFile } from '../held-file.ts';
import type { BlockIo, BlockStatusExtent } from '../node.ts';
import { RangeLock } from '../range-lock.ts';
import { RequestQueue, type RequestOwner } from '../request-queue.ts';
import { readAligned, writeAligned, type IoTarget } from './aligned-io.ts';
import type { InlineIo } from './inline-io.ts';

/** What differs between a regular file and a device. Ranges lie within the node. */
export interface Storage {
  /** Makes a range read as zeros without writing them. False: it cannot. `fast` rules out what writes inside the kernel. */
  zero(fd: number, offset: number, length: number, options: { mayUnmap: boolean; fast: boolean }): Promise<boolean>;
  /** Gives the space of a range back where it can. */
  discard(fd: number, offset: number, length: number): Promise<void>;
  /** At least one extent from `offset` on, up to `end` at most. */
  status(fd: number, offset: number, end: number, maxExtents: number): Promise<BlockStatusExtent[]>;
}

/** An open file and what its requests are aligned to: 1 without O_DIRECT. */
export interface IoFile {
  readonly file: HeldFile;
  readonly alignment: number;
  /** Undefined where every request takes a thread. */
  readonly inline: InlineIo | undefined;
}

/** What the requests of one node need to know about it. */
export interface PosixIoFacts {
  readonly storage: Storage;
  readonly requestsPerNode: number;
  noFlush(): boolean;
  /** The length of the node. */
  length(): number;
}

const zeros = Buffer.alloc(1024 * 1024);
const done = Promise.resolve();

/** The I/O of `file` and `host_device` nodes. */
export class PosixIo implements BlockIo {
  /** Where requests go from now on; those in flight stay with the file they began on. */
  open: IoFile;
  readonly #facts: PosixIoFacts;
  readonly #queue: RequestQueue;
  readonly #flushes = new FlushTracker();
  readonly #ranges = new RangeLock();

  constructor(open: IoFile, facts: PosixIoFacts) {
    this.open = open;
    this.#facts = facts;
    this.#queue = new RequestQueue(facts.requestsPerNode);
  }

  /** Requests that are with the kernel. */
  get inFlight(): number {
    return this.#queue.inFlight;
  }

  read(offset: number, buffer: Uint8Array, owner?: RequestOwner): Promise<void> {
    if (owner?.abandoned !== true && this.#now((fd, inline) => inline.read(fd, buffer, offset))) return done;
    return this.#request(owner, (target) => readAligned(target, buffer, offset));
  }

  async write(offset: number, data: Uint8Array, { fua }: { fua: boolean }, owner?: RequestOwner): Promise<void> {
    const dsync = fua && !this.#facts.noFlush();
    if (!dsync && owner?.abandoned !== true && this.#now((fd, inline) => inline.write(fd, data, offset))) {
      this.#flushes.wrote();
      return;
    }
    let isStable = false;
    try {
      await this.#request(owner, (target) => this.#write(target, data, offset, dsync));
      isStable = dsync;
    } finally {
      if (!isStable) this.#flushes.wrote();
    }
  }

  async writeZeroes(
    offset: number,
    length: number,
    { fua, mayUnmap, fast }: { fua: boolean; mayUnmap: boolean; fast: boolean },
    owner?: RequestOwner,
  ): Promise<void> {
    await this.#change(owner, async (target) => {
      const zero = (): Promise<boolean> => this.#facts.storage.zero(target.fd, offset, length, { mayUnmap, fast });
      if (await this.#ranges.hold(offset, offset + length, false, zero)) return;
      if (fast) throw new SystemError(constants.errno.EOPNOTSUPP, 'fallocate');
      await this.#writeZeros(target, offset, length);
    });
    if (fua) await this.flush();
  }

  async discard(offset: number, length: number, { fua }: { fua: boolean }, owner?: RequestOwner): Promise<void> {
    await this.#change(owner, ({ fd }) =>
      this.#ranges.hold(offset, offset + length, false, () => this.#facts.storage.discard(fd, offset, length)),
    );
    if (fua) await this.flush();
  }

  /** A flush belongs to nobody: those who ask at the same time share one. */
  async flush(): Promise<void> {
    if (this.#facts.noFlush()) return;
    // With O_DIRECT the data is not in the page cache, and so cannot be lost there by a failed flush.
    const sticky = this.open.alignment === 1;
    await this.#flushes.flush(() => this.#request(undefined, ({ fd }) => fdatasync(fd)), { sticky });
  }

  blockStatus(offset: number, length: number, maxExtents: number, owner?: RequestOwner): Promise<BlockStatusExtent[]> {
    return this.#request(owner, ({ fd }) => this.#facts.storage.status(fd, offset, offset + length, maxExtents));
  }

  abandon(owner: RequestOwner): void {
    this.#queue.abandon(owner);
  }

  /** Takes back every request that has not begun. */
  abandonAll(): void {
    this.#queue.abandon();
  }

  /** Runs `operation`, which changes the file, as one of the node's requests. */
  change(operation: (fd: number) => Promise<void>): Promise<void> {
    return this.#change(undefined, ({ fd }) => operation(fd));
  }

  async #change(owner: RequestOwner | undefined, operation: (target: IoTarget) => Promise<void>): Promise<void> {
    try {
      await this.#request(owner, operation);
    } finally {
      this.#flushes.wrote();
    }
  }

  #request<T>(owner: RequestOwner | undefined, operation: (target: IoTarget) => Promise<T>): Promise<T> {
    return this.#queue.run(() => {
      const { file, alignment } = this.open;
      return file.use((fd) => operation({ fd, alignment, owner }));
    }, owner);
  }

  /** Whether a request was done without a thread. */
  #now(operation: (fd: number, inline: InlineIo) => boolean): boolean {
    const { file, inline } = this.open;
    return inline !== undefined && file.useNow((fd) => operation(fd, inline)) === true;
  }

  #write(target: IoTarget, data: Uint8Array, offset: number, dsync: boolean): Promise<void> {
    return writeAligned(target, data, offset, { dsync, ranges: this.#ranges, length: () => this.#facts.length() });
  }

  async #writeZeros(target: IoTarget, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += zeros.length) {
      const part = zeros.subarray(0, Math.min(zeros.length, length - done));
      await this.#write(target, part, offset + done, false);
    }
  }
}
