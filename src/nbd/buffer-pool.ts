// Where does the memory for data on its way come from? Freed buffers are kept for the next request, by size.

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

  /** A buffer of at least `length` bytes with arbitrary content. */
  take(length: number): Buffer {
    const index = classOf(length);
    const found = this.#free[index]?.pop();
    if (found !== undefined) {
      this.#kept -= found.length;
      return found;
    }
    return Buffer.allocUnsafeSlow(index < this.#free.length ? 1 << (index + SMALLEST_SHIFT) : length);
  }

  /** Gives back a buffer that `take` returned, whole. */
  give(buffer: Buffer): void {
    const list = this.#free[classOf(buffer.length)];
    if (list === undefined || this.#kept + buffer.length > this.#maxKept) return;
    this.#kept += buffer.length;
    list.push(buffer);
  }
}

function classOf(length: number): number {
  return length <= 1 << SMALLEST_SHIFT ? 0 : 32 - Math.clz32(length - 1) - SMALLEST_SHIFT;
}
