// Where do received bytes wait until a whole message of the handshake is there?

/** A growing window over bytes: appended at the end, consumed at the start. Not for the data path. */
export class ByteQueue {
  #bytes = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  /** How many bytes wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies `chunk` to the end. */
  append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The first `length` bytes without consuming them; valid until the next append. The caller knows they are there. */
  peek(length: number): Buffer {
    return this.#bytes.subarray(this.#start, this.#start + length);
  }

  /** Drops up to `length` bytes from the start and says how many it dropped. */
  skip(length: number): number {
    const dropped = Math.min(length, this.length);
    this.#start += dropped;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    return dropped;
  }

  #makeRoom(more: number): void {
    const needed = this.length + more;
    // Twice what is needed: a peer that sends byte by byte must not make every byte a copy of all before it.
    const target = needed * 2 <= this.#bytes.length ? this.#bytes : Buffer.alloc(Math.max(256, needed * 2));
    target.set(this.#bytes.subarray(this.#start, this.#end), 0);
    this.#end = this.length;
    this.#start = 0;
    this.#bytes = target;
  }
}
