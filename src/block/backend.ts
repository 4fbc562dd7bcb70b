// What does an export hold of a node? A BlockBackend: the right to do I/O within the node, with the permissions that it
// was attached with.
//
// It maps a request through the nodes to protocol nodes and has those do the I/O. Ranges are checked here, so that
// nothing ever reaches behind the end of the node.
import { constants } from 'node:os';

import { SystemError } from '../addon/index.ts';
import { ProtocolNode, type BlockNode, type BlockStatusExtent, type Extent, type IoLimits } from './node.ts';
import type { RequestOwner } from './request-queue.ts';

/** The most extents that {@link BlockBackend.blockStatus} gives unless told otherwise. */
const defaultMaxExtents = 1024;

/** What the graph does for a backend. */
export interface BackendOwner {
  /** Takes the user off the node. Never throws. */
  detached(): Promise<void>;
  readonly drainTimeoutMs: number;
}

/**
 * A user's hold on a node. All calls reject with SystemError: EINVAL for a range outside the node, EPERM for changing
 * what was attached read-only, ESHUTDOWN after {@link BlockBackend.detach}, else what the kernel says (EIO, ENOSPC …).
 *
 * A buffer belongs to its request until the promise settles, also after a detach that did not wait for it.
 */
export class BlockBackend {
  readonly nodeName: string;
  /** Whether it was attached for reading only. */
  readonly readOnly: boolean;
  readonly #node: BlockNode;
  readonly #graph: BackendOwner;
  readonly #owner: { abandoned: boolean } & RequestOwner = { abandoned: false };
  #inFlight = 0;
  #idle: (() => void)[] = [];
  #detaching: Promise<void> | undefined;

  constructor(node: BlockNode, readOnly: boolean, graph: BackendOwner) {
    this.nodeName = node.nodeName;
    this.readOnly = readOnly;
    this.#node = node;
    this.#graph = graph;
  }

  /** Bytes, a multiple of 512. */
  get length(): number {
    return this.#node.length;
  }

  get limits(): IoLimits {
    return this.#node.limits;
  }

  /** Requests that have begun and not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Where the bytes from `offset` on are: for a data path that does its own I/O on the fds of protocol nodes. Pure. */
  map(offset: number, length: number): Extent {
    return this.#node.map(offset, length);
  }

  /** Fills `buffer`. What lies behind the end of the file, in the node's last sector, is zeros. */
  async read(offset: number, buffer: Uint8Array): Promise<void> {
    await this.#request(offset, buffer.length, 'read', (extent, done) => {
      const part = partOf(buffer, done, extent.length);
      if (extent.kind === 'beyond') return void part.fill(0);
      return extent.node.io.read(extent.offset, part, this.#owner);
    });
  }

  /** With `fua` the data is on stable storage when it resolves. */
  async write(offset: number, data: Uint8Array, { fua = false }: { fua?: boolean } = {}): Promise<void> {
    const detects = this.#node.detectsZeroes;
    if (detects !== 'off' && isZero(data)) {
      await this.writeZeroes(offset, data.length, { fua, mayUnmap: detects === 'unmap' });
      return;
    }
    await this.#request(offset, data.length, 'write', (extent, done) => {
      if (extent.kind === 'beyond') throw new SystemError(constants.errno.ENOSPC, 'write');
      return extent.node.io.write(extent.offset, partOf(data, done, extent.length), { fua }, this.#owner);
    });
  }

  /**
   * Makes a range read as zeros. `mayUnmap`: its space may be given back, where the nodes allow it; `fast`: reject with
   * ENOTSUP (EOPNOTSUPP) rather than write zeros.
   */
  async writeZeroes(
    offset: number,
    length: number,
    { fua = false, mayUnmap = false, fast = false }: { fua?: boolean; mayUnmap?: boolean; fast?: boolean } = {},
  ): Promise<void> {
    const options = { fua, mayUnmap: mayUnmap && this.#node.unmaps, fast };
    await this.#request(offset, length, 'write', (extent) => {
      if (extent.kind === 'beyond') throw new SystemError(constants.errno.ENOSPC, 'write');
      return extent.node.io.writeZeroes(extent.offset, extent.length, options, this.#owner);
    });
  }

  /** Gives back the space of a range where node options and files allow it; its contents are undefined afterwards. */
  async discard(offset: number, length: number, { fua = false }: { fua?: boolean } = {}): Promise<void> {
    const unmaps = this.#node.unmaps;
    await this.#request(offset, length, 'write', (extent) => {
      if (extent.kind === 'beyond' || !unmaps) return undefined;
      return extent.node.io.discard(extent.offset, extent.length, { fua }, this.#owner);
    });
  }

  /** Brings every write that has ended, of this backend and of all others of the node, to stable storage. */
  async flush(): Promise<void> {
    await this.#track(async () => {
      for (const protocol of protocolNodes(this.#node)) await protocol.io.flush(this.#owner);
    });
  }

  /**
   * What is known of a range: extents from `offset` on, neighbours different, at least one. They cover the range unless
   * it has more than `maxExtents` extents.
   */
  async blockStatus(
    offset: number,
    length: number,
    { maxExtents = defaultMaxExtents }: { maxExtents?: number } = {},
  ): Promise<BlockStatusExtent[]> {
    const found: BlockStatusExtent[] = [];
    await this.#track(async () => {
      this.#checkRange(offset, length);
      let done = 0;
      while (done < length) {
        const extent = this.#node.map(offset + done, length - done);
        const extents = await this.#statusOf(extent, maxExtents);
        for (const known of extents) {
          if (!append(found, known, maxExtents)) return;
          done += known.length;
        }
      }
    });
    return found;
  }

  /** Resolves when no request of this backend is in flight. */
  drain(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /**
   * Lets go of the node. New requests fail at once, those in flight are waited for: at most for `drainTimeoutMs`, so
   * that a file that does not answer holds up nothing. After that those that have not reached the kernel are rejected;
   * the rest settle when the kernel is done with them, and the file stays open and locked until then. Never throws; a
   * second call waits for the first.
   */
  detach(): Promise<void> {
    this.#detaching ??= this.#detach();
    return this.#detaching;
  }

  async #detach(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#graph.drainTimeoutMs)));
    await Promise.race([this.drain(), timeout]);
    clearTimeout(timer);
    this.#owner.abandoned = true;
    for (const protocol of protocolNodes(this.#node)) protocol.io.abandon(this.#owner);
    await this.#graph.detached();
  }

  #request(
    offset: number,
    length: number,
    kind: 'read' | 'write',
    perform: (extent: Extent, done: number) => Promise<void> | undefined | void,
  ): Promise<void> {
    return this.#track(async () => {
      this.#checkRange(offset, length);
      if (kind === 'write' && this.readOnly) throw new SystemError(constants.errno.EPERM, kind);
      for (let done = 0; done < length;) {
        const extent = this.#node.map(offset + done, length - done);
        await perform(extent, done);
        done += extent.length;
      }
    });
  }

  async #track<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#detaching !== undefined) throw new SystemError(shutDown, 'block request');
    this.#inFlight++;
    try {
      return await operation();
    } finally {
      this.#inFlight--;
      if (this.#inFlight === 0) this.#tellIdle();
    }
  }

  #tellIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #checkRange(offset: number, length: number): void {
    const isInside = Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && length <= this.length - offset;
    if (!isInside) throw new SystemError(constants.errno.EINVAL, 'block request');
  }

  async #statusOf(extent: Extent, maxExtents: number): Promise<BlockStatusExtent[]> {
    if (extent.kind === 'beyond') return [{ length: extent.length, hole: true, zero: true }];
    return extent.node.io.blockStatus(extent.offset, extent.length, maxExtents, this.#owner);
  }
}

/** ESHUTDOWN of Linux, which node:os does not list. */
const shutDown = 108;

function partOf(buffer: Uint8Array, start: number, length: number): Uint8Array {
  return start === 0 && length === buffer.length ? buffer : buffer.subarray(start, start + length);
}

/** Appends `extent`, or makes the last one longer. False: there is no room for it. */
function append(extents: BlockStatusExtent[], extent: BlockStatusExtent, maxExtents: number): boolean {
  const last = extents.at(-1);
  if (last?.hole === extent.hole && last.zero === extent.zero) {
    extents[extents.length - 1] = { ...last, length: last.length + extent.length };
    return true;
  }
  if (extents.length === maxExtents) return false;
  extents.push(extent);
  return true;
}

/** The protocol nodes at and below a node. */
function* protocolNodes(node: BlockNode): Generator<ProtocolNode> {
  if (node instanceof ProtocolNode) yield node;
  if (node.child !== undefined) yield* protocolNodes(node.child.child);
}

const zeros = Buffer.alloc(64 * 1024);

function isZero(data: Uint8Array): boolean {
  for (let start = 0; start < data.length; start += zeros.length) {
    const part = data.subarray(start, start + zeros.length);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
