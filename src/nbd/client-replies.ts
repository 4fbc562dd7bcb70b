// Is the server's answer to a request what the protocol allows, and what does it say? Collects the chunks of one reply
// and checks them as they come.
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_READ,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR_BIT,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_STATE_HOLE,
  NBD_STATE_ZERO,
  NBD_REPLY_TYPE_ERROR_OFFSET,
} from './constants.ts';
import { NbdProtocolError, NbdReplyError } from './errors.ts';
import type { Extent } from './extents.ts';

/** What a request was about. */
export interface SentRequest {
  readonly type: number;
  /** For messages: `read`, `write` … */
  readonly what: string;
  readonly offset: number;
  readonly length: number;
  readonly contextId: number | undefined;
  readonly one: boolean;
}

/** One structured reply chunk. */
export interface Chunk {
  readonly flags: number;
  readonly type: number;
  readonly payload: Buffer;
}

/** The reply to one request, as far as it has come. */
export class ReplyCollector {
  readonly request: SentRequest;
  /** A READ's data. */
  readonly data: Buffer;
  #extents: Extent[] | undefined;
  #covered: { start: number; end: number }[] = [];
  #error: NbdReplyError | undefined;

  constructor(request: SentRequest) {
    this.request = request;
    this.data = Buffer.alloc(request.type === NBD_CMD_READ ? request.length : 0);
  }

  /** What BLOCK_STATUS told. */
  get extents(): readonly Extent[] {
    return this.#extents ?? [];
  }

  /** The server's error, once the reply is complete. */
  get error(): NbdReplyError | undefined {
    return this.#error;
  }

  /** A simple reply: complete with this one. */
  simple(error: number, data: Buffer): void {
    if (this.request.type === NBD_CMD_BLOCK_STATUS && error === 0) {
      throw new NbdProtocolError('a simple reply to block status');
    }
    if (error !== 0) this.#error = new NbdReplyError(this.request.what, error);
    data.copy(this.data);
  }

  /**
   * Takes one chunk; true: it was the last.
   * @throws NbdProtocolError where it cannot belong to this reply
   */
  chunk({ flags, type, payload }: Chunk): boolean {
    if ((flags & ~NBD_REPLY_FLAG_DONE) !== 0) throw new NbdProtocolError(`unknown chunk flags ${flags}`);
    const done = (flags & NBD_REPLY_FLAG_DONE) !== 0;
    if ((type & NBD_REPLY_TYPE_ERROR_BIT) !== 0) this.#errorChunk(type, payload);
    else this.#contentChunk(type, payload, done);
    if (done) this.#checkComplete();
    return done;
  }

  #contentChunk(type: number, payload: Buffer, done: boolean): void {
    switch (type) {
      case NBD_REPLY_TYPE_NONE:
        if (payload.length !== 0 || !done) throw new NbdProtocolError('an odd chunk of type none');
        return;
      case NBD_REPLY_TYPE_OFFSET_DATA: {
        if (payload.length < 9) throw new NbdProtocolError('a data chunk without data');
        const start = this.#cover(payload.readBigUInt64BE(0), payload.length - 8);
        payload.copy(this.data, start, 8);
        return;
      }
      case NBD_REPLY_TYPE_OFFSET_HOLE: {
        if (payload.length !== 12) throw new NbdProtocolError('a hole chunk has a wrong length');
        const length = payload.readUInt32BE(8);
        if (length === 0) throw new NbdProtocolError('an empty hole');
        this.#cover(payload.readBigUInt64BE(0), length); // the data is zeroes already
        return;
      }
      case NBD_REPLY_TYPE_BLOCK_STATUS:
        this.#blockStatus(payload);
        return;
      default:
        throw new NbdProtocolError(`unknown chunk type ${type}`);
    }
  }

  /** Notes that a stretch of the disk is answered; returns where it begins in the data. */
  #cover(offset: bigint, length: number): number {
    if (this.request.type !== NBD_CMD_READ) throw new NbdProtocolError(`data in reply to ${this.request.what}`);
    const start = Number(offset) - this.request.offset;
    const end = start + length;
    if (start < 0 || end > this.request.length) throw new NbdProtocolError('data outside of what was asked for');
    if (this.#covered.some((other) => start < other.end && other.start < end)) {
      throw new NbdProtocolError('the same data twice');
    }
    this.#covered.push({ start, end });
    return start;
  }

  #blockStatus(payload: Buffer): void {
    const { type, contextId, length, one } = this.request;
    if (type !== NBD_CMD_BLOCK_STATUS) throw new NbdProtocolError(`block status in reply to ${this.request.what}`);
    if (payload.length < 12 || payload.length % 8 !== 4) throw new NbdProtocolError('block status of a wrong length');
    if (payload.readUInt32BE(0) !== contextId) throw new NbdProtocolError('block status of another context');
    if (this.#extents !== undefined) throw new NbdProtocolError('block status twice');
    this.#extents = [];
    let before = 0;
    for (let at = 4; at < payload.length; at += 8) {
      const extent = payload.readUInt32BE(at);
      const state = payload.readUInt32BE(at + 4);
      if (extent === 0) throw new NbdProtocolError('an empty extent');
      if (before >= length) throw new NbdProtocolError('extents behind the end of what was asked for');
      before += extent;
      this.#extents.push({
        length: extent,
        hole: (state & NBD_STATE_HOLE) !== 0,
        zero: (state & NBD_STATE_ZERO) !== 0,
      });
    }
    if (one && (this.#extents.length > 1 || before > length)) throw new NbdProtocolError('more than one extent');
  }

  #errorChunk(type: number, payload: Buffer): void {
    const textLength = payload.length >= 6 ? payload.readUInt16BE(4) : 0;
    const expected = 6 + textLength + (type === NBD_REPLY_TYPE_ERROR_OFFSET ? 8 : 0);
    if (payload.length < 6 || payload.length < expected) throw new NbdProtocolError('an error chunk is too short');
    const value = payload.readUInt32BE(0);
    if (value === 0) throw new NbdProtocolError('an error chunk without an error');
    this.#error ??= new NbdReplyError(this.request.what, value, payload.toString('utf8', 6, 6 + textLength));
  }

  #checkComplete(): void {
    if (this.#error !== undefined) return;
    const { type, length } = this.request;
    if (type === NBD_CMD_BLOCK_STATUS && this.#extents === undefined) throw new NbdProtocolError('no block status');
    const covered = this.#covered.reduce((sum, { start, end }) => sum + end - start, 0);
    if (type === NBD_CMD_READ && covered !== length) {
      throw new NbdProtocolError(`${covered} bytes where ${length} were asked for`);
    }
  }
}
