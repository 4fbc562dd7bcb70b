// The driver `null-co`: no storage at all. What is written is forgotten, what is read is zeros.
//
// The smallest driver, and the one to copy: options in, a node out, registered in drivers/index.ts.
import { setTimeout as sleep } from 'node:timers/promises';

import { FdsetError } from '../../errors.ts';
import type { BlockDriver, OpenContext } from '../driver.ts';
import {
  maxLength,
  ProtocolNode,
  roundUpToSector,
  type BlockIo,
  type BlockStatusExtent,
  type Extent,
  type ImageFacts,
  type IoLimits,
  type JsonMembers,
  type NodeClosing,
} from '../node.ts';
import { optionError, sizeOption } from '../options.ts';

const defaultSize = 1024 ** 3;
const mostLatencyNs = 2n ** 63n - 1n;
/** Milliseconds; Node takes a longer one for 1. */
const longestTimer = 2 ** 31 - 1;

/** The driver `null-co`. Source: QEMU's qapi/block-core.json, `BlockdevOptionsNull`. */
export const nullCoDriver: BlockDriver = {
  name: 'null-co',
  hasFile: false,
  async open(context, options) {
    const size = sizeOption('size', options.size ?? defaultSize, context.rules);
    const latencyNs = options['latency-ns'] ?? 0;
    if (latencyNs < 0 || latencyNs > mostLatencyNs) throw optionError('latency-ns is invalid');
    if (size > maxLength) throw optionError('Could not refresh total sector count: File too large');
    return new NullCoNode(context, Number(size), Number(latencyNs), options['read-zeroes'] ?? false);
  },
};

class NullCoNode extends ProtocolNode {
  readonly limits: IoLimits = { requestAlignment: 1, optimalTransfer: 4096, maxTransfer: 32 * 1024 * 1024 };
  readonly io: BlockIo;
  readonly length: number;

  constructor(context: OpenContext, size: number, latencyNs: number, readZeroes: boolean) {
    super(context);
    this.length = roundUpToSector(size);
    this.io = new NullCoIo(latencyNs, readZeroes);
  }

  get exactFilename(): string | undefined {
    const isPlain = this.given.size === undefined && this.given['read-zeroes'] === undefined;
    return isPlain ? 'null-co://' : undefined;
  }

  describe(): JsonMembers {
    return { driver: this.driver, size: this.given.size, 'read-zeroes': this.given['read-zeroes'] };
  }

  map(offset: number, length: number): Extent {
    return { kind: 'protocol', node: this, offset, length };
  }

  async actualSize(): Promise<number> {
    return 0;
  }

  imageInfo(): ImageFacts {
    return {};
  }

  async resize(): Promise<never> {
    throw new FdsetError('ERR_FDSET_RESIZE', 'Image format driver does not support resize');
  }

  async adapt(): Promise<void> {
    // No file, no locks.
  }

  close(): NodeClosing {
    return { closed: Promise.resolve(), hung: 0 };
  }
}

class NullCoIo implements BlockIo {
  readonly #latencyMs: number;
  readonly #readZeroes: boolean;

  constructor(latencyNs: number, readZeroes: boolean) {
    this.#latencyMs = Math.min(latencyNs / 1e6, longestTimer);
    this.#readZeroes = readZeroes;
  }

  /** Zeros with `read-zeroes` and without: what happens to be in the buffer may be another client's data. */
  async read(_offset: number, buffer: Uint8Array): Promise<void> {
    await this.#latency();
    buffer.fill(0);
  }

  async write(): Promise<void> {
    await this.#latency();
  }

  async writeZeroes(): Promise<void> {
    await this.#latency();
  }

  async discard(): Promise<void> {
    await this.#latency();
  }

  async flush(): Promise<void> {
    await this.#latency();
  }

  async blockStatus(_offset: number, length: number): Promise<BlockStatusExtent[]> {
    return [{ length, hole: true, zero: this.#readZeroes }];
  }

  abandon(): void {
    // Nothing waits here.
  }

  async #latency(): Promise<void> {
    if (this.#latencyMs > 0) await sleep(this.#latencyMs);
  }
}
