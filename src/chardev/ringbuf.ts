// A character device that keeps what is written to it, the newest bytes: for ringbuf-read and ringbuf-write.
import { FdsetError } from '../errors.ts';
import { type CharChannel, type CharFrontend, type CharHandlers, FrontendSlot, type ListedChardev } from './chardev.ts';

export const DEFAULT_RINGBUF_SIZE = 65_536;
/** What is read at once becomes one string. QEMU has no such limit. */
export const MAX_RINGBUF_SIZE = 64 * 1024 * 1024;

/** Its frontend has one client, which never sends anything. */
export class RingbufChardev implements ListedChardev {
  readonly id: string;
  readonly inBandOnly = true;
  readonly filename: string;
  readonly #slot: FrontendSlot;
  readonly #bytes: Buffer;
  #written = 0;
  #read = 0;

  /**
   * @param kind its name: `memory` is the older one
   * @throws FdsetError the size is no power of two, or above {@link MAX_RINGBUF_SIZE}
   */
  constructor(id: string, kind: 'ringbuf' | 'memory', size: number) {
    const bytes = size === 0 ? DEFAULT_RINGBUF_SIZE : size;
    if (!Number.isInteger(Math.log2(bytes))) {
      throw new FdsetError('ERR_FDSET_CHARDEV', 'size of ringbuf chardev must be power of two');
    }
    if (bytes > MAX_RINGBUF_SIZE) {
      throw new FdsetError('ERR_FDSET_CHARDEV', `size of ringbuf chardev must be at most ${MAX_RINGBUF_SIZE}`);
    }
    this.id = id;
    this.filename = kind;
    this.#slot = new FrontendSlot(id);
    this.#bytes = Buffer.alloc(bytes);
  }

  get attached(): boolean {
    return this.#slot.frontend !== undefined;
  }

  attach(frontend: CharFrontend): void {
    this.#slot.set(frontend);
    frontend.connected((handlers) => new RingbufChannel(this, handlers));
  }

  close(): void {}

  write(bytes: Uint8Array): void {
    const size = this.#bytes.length;
    for (const byte of bytes) this.#bytes[this.#written++ % size] = byte;
    this.#read = Math.max(this.#read, this.#written - size);
  }

  /** Takes at most so many of the oldest bytes. */
  read(most: number): Buffer {
    const count = Math.min(most, this.#written - this.#read);
    const start = this.#read % this.#bytes.length;
    const first = this.#bytes.subarray(start, start + count);
    this.#read += count;
    return Buffer.concat([first, this.#bytes.subarray(0, count - first.length)]);
  }
}

/** What the frontend writes goes into the ring at once. */
class RingbufChannel implements CharChannel {
  readonly bytesReceived = 0;
  readonly bufferedBytes = 0;
  readonly #device: RingbufChardev;
  readonly #handlers: CharHandlers;
  #destroyed = false;

  constructor(device: RingbufChardev, handlers: CharHandlers) {
    this.#device = device;
    this.#handlers = handlers;
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  write(data: string | Uint8Array): boolean {
    if (!this.#destroyed) this.#device.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
    return true;
  }

  destroy(error?: Error): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    setImmediate(() => this.#handlers.close?.(this, error));
  }

  takeFd(): null {
    return null;
  }

  peerCred(): undefined {}
  cork(): void {}
  uncork(): void {}
  settleFds(): void {}
  pause(): void {}
  resume(): void {}
}
