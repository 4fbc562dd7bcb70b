// How do replies reach the socket? They are written one behind the other into shared memory and leave together, once
// per turn of the event loop: headers and small data are copied, large data goes by reference.
import {
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_ERROR_OFFSET,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_SIMPLE_REPLY_SIZE,
  NBD_STRUCTURED_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_SIZE,
} from './constants.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Request } from './request-parser.ts';
import type { RequestFault } from './request-check.ts';

/** Takes bytes for the peer; calls `sent` once their memory is free again, whether they arrived or not. */
export type SendPieces = (pieces: readonly Uint8Array[], sent: () => void) => void;

/** The memory that headers and small data are written into, in bytes. */
const ARENA_SIZE = 64 * 1024;
/** Data up to this long is copied: cheaper than one more piece of a writev. */
const COPY_LIMIT = 16 * 1024;
/** A batch as long as this leaves at once. */
const FLUSH_LIMIT = 256 * 1024;
const LONGEST_ERROR_TEXT = 1024;

/** What leaves together. */
interface Batch {
  readonly pieces: Uint8Array[];
  /** Pooled memory behind the pieces. */
  readonly buffers: Buffer[];
  /** The requests whose last reply is in here. */
  readonly requests: Request[];
  bytes: number;
}

/**
 * The replies of one connection in the order they are made.
 *
 * Buffers handed in become the queue's and return to the pool once they are sent. `onSent` names requests whose replies
 * have left this process: only then do they stop counting, so a client that does not read is bounded.
 */
export class ReplyQueue {
  readonly #send: SendPieces;
  readonly #pool: BufferPool;
  readonly #onSent: (requests: readonly Request[]) => void;
  #batch: Batch = emptyBatch();
  #arena: Buffer | undefined;
  /** What lies in the arena behind the last piece: from `#start` to `#end`. */
  #start = 0;
  #end = 0;
  #flushDue = false;
  #closed = false;

  constructor(send: SendPieces, pool: BufferPool, onSent: (requests: readonly Request[]) => void) {
    this.#send = send;
    this.#pool = pool;
    this.#onSent = onSent;
  }

  /** The peer is gone: what is queued and what still comes is dropped. */
  close(): void {
    this.#closed = true;
    this.#giveBack(this.#batch);
    if (this.#arena !== undefined) this.#pool.give(this.#arena);
    this.#arena = undefined;
    this.#batch = emptyBatch();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A simple reply without data. Ends the request. */
  simple(request: Request, error: number): void {
    if (this.#closed) return;
    this.#simpleHeader(request, error);
    this.#endMessage(request, true);
  }

  /** A simple reply with what a READ found in the first `request.length` bytes of `data`. Ends the request. */
  simpleData(request: Request, data: Buffer): void {
    if (this.#closed) return this.#pool.give(data);
    this.#simpleHeader(request, 0);
    this.#append(data, request.length);
    this.#endMessage(request, true);
  }

  /** The chunk that says that nothing follows. Ends the request. */
  none(request: Request): void {
    if (this.#closed) return;
    this.#chunkHeader(request, NBD_REPLY_TYPE_NONE, 0, true);
    this.#endMessage(request, true);
  }

  /** A chunk of data: the first `length` bytes of `data` lie at `offset`. `last` ends the request. */
  data(request: Request, offset: number, data: Buffer, length: number, last: boolean): void {
    if (this.#closed) return this.#pool.give(data);
    const arena = this.#chunkHeader(request, NBD_REPLY_TYPE_OFFSET_DATA, 8 + length, last, 8);
    this.#end = writeUint64(arena, this.#end, offset);
    this.#append(data, length);
    this.#endMessage(request, last);
  }

  /** A chunk that says that `length` bytes from `offset` read as zeroes. `last` ends the request. */
  hole(request: Request, offset: number, length: number, last: boolean): void {
    if (this.#closed) return;
    const arena = this.#chunkHeader(request, NBD_REPLY_TYPE_OFFSET_HOLE, 12, last, 12);
    this.#end = writeUint64(arena, this.#end, offset);
    this.#end = arena.writeUInt32BE(length, this.#end);
    this.#endMessage(request, last);
  }

  /** The chunk that answers BLOCK_STATUS: `length` bytes of descriptors for one context. Ends the request. */
  blockStatus(request: Request, contextId: number, descriptors: Buffer, length: number): void {
    if (this.#closed) return this.#pool.give(descriptors);
    const arena = this.#chunkHeader(request, NBD_REPLY_TYPE_BLOCK_STATUS, 4 + length, true, 4);
    this.#end = arena.writeUInt32BE(contextId, this.#end);
    this.#append(descriptors, length);
    this.#endMessage(request, true);
  }

  /** An error chunk, about the data at `offset` where one is given. `last` ends the request. */
  error(request: Request, fault: RequestFault, last = true, offset?: number): void {
    if (this.#closed) return;
    const text = Buffer.from(fault.text).subarray(0, LONGEST_ERROR_TEXT);
    const type = offset === undefined ? NBD_REPLY_TYPE_ERROR : NBD_REPLY_TYPE_ERROR_OFFSET;
    const length = 6 + text.length + (offset === undefined ? 0 : 8);
    const arena = this.#chunkHeader(request, type, length, last, length);
    this.#end = arena.writeUInt32BE(fault.error, this.#end);
    this.#end = arena.writeUInt16BE(text.length, this.#end);
    this.#end += text.copy(arena, this.#end);
    if (offset !== undefined) this.#end = writeUint64(arena, this.#end, offset);
    this.#endMessage(request, last);
  }

  #simpleHeader(request: Request, error: number): void {
    const arena = this.#room(NBD_SIMPLE_REPLY_SIZE);
    let at = arena.writeUInt32BE(NBD_SIMPLE_REPLY_MAGIC, this.#end);
    at = arena.writeUInt32BE(error, at);
    this.#end = writeCookie(arena, at, request);
  }

  /** Writes a chunk's header and leaves room for `inArena` bytes of its payload behind it. */
  #chunkHeader(request: Request, type: number, payloadLength: number, last: boolean, inArena = 0): Buffer {
    const arena = this.#room(NBD_STRUCTURED_REPLY_SIZE + inArena);
    let at = arena.writeUInt32BE(NBD_STRUCTURED_REPLY_MAGIC, this.#end);
    at = arena.writeUInt16BE(last ? NBD_REPLY_FLAG_DONE : 0, at);
    at = arena.writeUInt16BE(type, at);
    at = writeCookie(arena, at, request);
    this.#end = arena.writeUInt32BE(payloadLength, at);
    return arena;
  }

  /** The arena with at least `length` free bytes at `#end`. */
  #room(length: number): Buffer {
    if (this.#arena !== undefined && this.#arena.length - this.#end >= length) return this.#arena;
    this.#closeArena();
    this.#start = this.#end = 0;
    this.#arena = this.#pool.take(ARENA_SIZE);
    return this.#arena;
  }

  #append(data: Buffer, length: number): void {
    if (length <= COPY_LIMIT) {
      const arena = this.#room(length);
      this.#end += data.copy(arena, this.#end, 0, length);
      this.#pool.give(data);
      return;
    }
    this.#closePiece();
    this.#batch.pieces.push(data.subarray(0, length));
    this.#batch.buffers.push(data);
    this.#batch.bytes += length;
  }

  /** One message is written; with `last` it was the request's last. */
  #endMessage(request: Request, last: boolean): void {
    if (last) this.#batch.requests.push(request);
    if (this.#batch.bytes >= FLUSH_LIMIT) return this.#flush();
    if (this.#flushDue) return;
    this.#flushDue = true;
    // Behind all promises that the current callback settles: their replies leave with this one.
    process.nextTick(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  /** Makes what was written into the arena since the last piece a piece. */
  #closePiece(): void {
    if (this.#end === this.#start) return;
    this.#batch.pieces.push(this.#arena!.subarray(this.#start, this.#end));
    this.#batch.bytes += this.#end - this.#start;
    this.#start = this.#end;
  }

  #closeArena(): void {
    if (this.#arena === undefined) return;
    this.#closePiece();
    this.#batch.buffers.push(this.#arena);
    this.#arena = undefined;
    this.#start = this.#end = 0;
  }

  #flush(): void {
    if (this.#closed) return;
    this.#closeArena();
    const batch = this.#batch;
    if (batch.pieces.length === 0) return;
    this.#batch = emptyBatch();
    this.#send(batch.pieces, () => {
      this.#giveBack(batch);
      if (!this.#closed) this.#onSent(batch.requests);
    });
  }

  #giveBack(batch: Batch): void {
    for (const buffer of batch.buffers) this.#pool.give(buffer);
  }
}

function emptyBatch(): Batch {
  return { pieces: [], buffers: [], requests: [], bytes: 0 };
}

function writeCookie(target: Buffer, at: number, request: Request): number {
  return target.writeUInt32BE(request.cookieLow, target.writeUInt32BE(request.cookieHigh, at));
}

function writeUint64(target: Buffer, at: number, value: number): number {
  const high = Math.floor(value / 0x100000000);
  return target.writeUInt32BE(value - high * 0x100000000, target.writeUInt32BE(high, at));
}
