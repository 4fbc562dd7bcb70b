// A disk in memory for tests, which can be told to fail, to hang and to take notes.
import { SystemError } from '../../src/addon/index.ts';
import type { Extent, ExportBackend } from '../../src/nbd/index.ts';

const BLOCK = 4096;

export interface DiskCall {
  readonly call: 'read' | 'write' | 'writeZeroes' | 'discard' | 'flush' | 'blockStatus';
  readonly offset: number;
  readonly length: number;
  readonly options?: object;
}

/** Blocks of 4096 bytes that were never written, or were zeroed with leave to unmap, are holes. */
export class MemoryDisk implements ExportBackend {
  readonly bytes: Buffer;
  readonly calls: DiskCall[] = [];
  readOnly = false;
  limits = { requestAlignment: 1, optimalTransfer: 0, maxTransfer: 0 };
  /** writeZeroes with `fast` fails. */
  slowZeroes = false;
  /** Called before every operation; a test throws here or waits. */
  before: (call: DiskCall) => void | Promise<void> = () => {};
  readonly #allocated: Uint8Array;

  constructor(length: number) {
    this.bytes = Buffer.alloc(length);
    this.#allocated = new Uint8Array(Math.ceil(length / BLOCK));
  }

  get length(): number {
    return this.bytes.length;
  }

  async read(offset: number, buffer: Buffer): Promise<void> {
    await this.#begin({ call: 'read', offset, length: buffer.length });
    this.bytes.copy(buffer, 0, offset, offset + buffer.length);
  }

  async write(offset: number, buffer: Buffer, options: { fua: boolean }): Promise<void> {
    await this.#begin({ call: 'write', offset, length: buffer.length, options });
    buffer.copy(this.bytes, offset);
    this.#allocated.fill(1, Math.floor(offset / BLOCK), Math.ceil((offset + buffer.length) / BLOCK));
  }

  async writeZeroes(
    offset: number,
    length: number,
    options: { fua: boolean; mayUnmap: boolean; fast: boolean },
  ): Promise<void> {
    await this.#begin({ call: 'writeZeroes', offset, length, options });
    if (options.fast && this.slowZeroes) throw new SystemError(95, 'fallocate');
    this.bytes.fill(0, offset, offset + length);
    if (options.mayUnmap) this.#unmap(offset, length);
    else this.#allocated.fill(1, Math.floor(offset / BLOCK), Math.ceil((offset + length) / BLOCK));
  }

  async discard(offset: number, length: number, options: { fua: boolean }): Promise<void> {
    await this.#begin({ call: 'discard', offset, length, options });
    const first = Math.ceil(offset / BLOCK) * BLOCK;
    const end = Math.floor((offset + length) / BLOCK) * BLOCK;
    if (first < end) this.bytes.fill(0, first, end);
    this.#unmap(offset, length);
  }

  async flush(): Promise<void> {
    await this.#begin({ call: 'flush', offset: 0, length: 0 });
  }

  async blockStatus(offset: number, length: number): Promise<Extent[]> {
    await this.#begin({ call: 'blockStatus', offset, length });
    const extents: Extent[] = [];
    for (let at = offset; at < offset + length;) {
      const end = Math.min(offset + length, (Math.floor(at / BLOCK) + 1) * BLOCK);
      const hole = this.#allocated[Math.floor(at / BLOCK)] === 0;
      extents.push({ length: end - at, hole, zero: hole });
      at = end;
    }
    return extents;
  }

  #unmap(offset: number, length: number): void {
    const first = Math.ceil(offset / BLOCK);
    const end = Math.floor((offset + length) / BLOCK);
    if (first < end) this.#allocated.fill(0, first, end);
  }

  async #begin(call: DiskCall): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }
}
