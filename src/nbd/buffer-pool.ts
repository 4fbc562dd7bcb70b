// Where does the memory for data on its way come from? Freed buffers are kept for the next request, by size.
import { constants } from 'node:os';

import { SystemError, allocateIoBuffer } from '../addon/index.ts';

const SMALLEST_SHIFT = 12; // 4 KiB
const LARGEST_SHIFT = 20; // 1 MiB; longer ones are rare and go back to the allocator

/**
 * Buffers by powers of two, of which at most `maxKept` bytes are kept for reuse.
 *
 * A buffer must not be given back before whoever reads or writes it (a system call, the socket) is through with it.
 */
export class BufferPool {
  readonly #free: Buffer[][] = [];
  readonly #maxKept: number;
  #kept = 0;

  constructor(maxKept: number) {
    this.#maxKept = maxKept;
    for (let shift = SMALLEST_SHIFT; shift <= LARGEST_SHIFT; shift++) this.#free.push([]);
  }

  /** The bytes that wait for reuse. */
  get kept(): number {
    return this.#kept;
  }

  /**
   * A buffer of at least `length` bytes with arbitrary content.
   * @throws SystemError ENOMEM
   */
  take(length: number): Buffer {
    const index = classOf(length);
    const found = this.#free[index]?.pop();
    if (found !== undefined) {
      this.#kept -= found.length;
      return found;
    }
    try {
      return allocate(index < this.#free.length ? 1 << (index + SMALLEST_SHIFT) : length);
    } catch (error) {
      throw new SystemError(constants.errno.ENOMEM, 'mmap', { cause: error });
    }
  }

  /** Gives back a buffer that `take` returned, whole. */
  give(buffer: Buffer): void {
    const list = this.#free[classOf(buffer.length)];
    if (list === undefined || this.#kept + buffer.length > this.#maxKept) return;
    this.#kept += buffer.length;
    list.push(buffer);
  }
}

/**
 * Memory of the io pool, which it reads and writes without a copy. Where it is long it is not from there, for a peer
 * that only announces 32 MiB should not cost any: pages that were never touched are free.
 */
function allocate(length: number): Buffer {
  if (length > 1 << LARGEST_SHIFT) return Buffer.allocUnsafeSlow(length);
  const memory = allocateIoBuffer(length);
  return Buffer.from(memory.buffer, memory.byteOffset, memory.length);
}

function classOf(length: number): number {
  return length <= 1 << SMALLEST_SHIFT ? 0 : 32 - Math.clz32(length - 1) - SMALLEST_SHIFT;
}
