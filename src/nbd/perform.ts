// How is one legal request carried out? Each kind of request is one method: ask the disk, then queue the reply.
// Requests run side by side, and replies are queued as they finish.
import { FdsetError } from '../errors.ts';
import type { ExportBackend } from './backend.ts';
import type { BufferPool } from './buffer-pool.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
} from './constants.ts';
import { requestFailed } from './diagnostics.ts';
import { nbdErrorFor } from './errors.ts';
import { type Extent, MAX_EXTENTS, descriptorBytes, readParts, writeDescriptors } from './extents.ts';
import type { ReplyQueue } from './reply-queue.ts';
import type { RequestFault, RequestRules } from './request-check.ts';
import type { Request } from './request-parser.ts';

/** The disk behind an export, and a count of what is under way on it. */
export interface PerformTarget {
  readonly name: string;
  readonly backend: ExportBackend;
  requestStarted(): void;
  requestEnded(): void;
}

/** Reads longer than this are answered in chunks of at most this many bytes, if the client understands chunks. */
const READ_CHUNK = 256 * 1024;
/** How many extents of a long read are asked for; behind the last everything is read. */
const READ_EXTENTS = 64;
/** How many chunks of one read are on their way from the disk at a time. */
const CHUNKS_AT_A_TIME = 4;
const CONTEXT_ID_BASE_ALLOCATION = 0;

const fua = { fua: true };
const notFua = { fua: false };

/** Carries out the requests of one connection. */
export class Performer {
  readonly #target: PerformTarget;
  readonly #backend: ExportBackend;
  readonly #rules: RequestRules;
  readonly #replies: ReplyQueue;
  readonly #pool: BufferPool;

  constructor(target: PerformTarget, rules: RequestRules, replies: ReplyQueue, pool: BufferPool) {
    this.#target = target;
    this.#backend = target.backend;
    this.#rules = rules;
    this.#replies = replies;
    this.#pool = pool;
  }

  /** Starts a request that `checkRequest` let through. Its reply comes in its own time; this never fails. */
  perform(request: Request): void {
    // Nothing of nothing: the disk need not hear of it. FLUSH has no length.
    if (request.length === 0 && request.type !== NBD_CMD_FLUSH) return this.#performEmpty(request);
    switch (request.type) {
      case NBD_CMD_READ:
        return this.#performRead(request);
      case NBD_CMD_WRITE:
        return void this.#write(request);
      case NBD_CMD_FLUSH:
        return void this.#flush(request);
      case NBD_CMD_TRIM:
        return void this.#trim(request);
      case NBD_CMD_WRITE_ZEROES:
        return void this.#writeZeroes(request);
      case NBD_CMD_BLOCK_STATUS:
        return void this.#blockStatus(request);
      case NBD_CMD_CACHE:
        // A hint, which the server may leave at that; QEMU does the same for files. Source: proto.md, NBD_CMD_CACHE.
        return this.#replies.simple(request, 0);
    }
  }

  /** Answers a request with an error. */
  refuse(request: Request, fault: RequestFault): void {
    if (this.#rules.structuredReplies) this.#replies.error(request, fault);
    else this.#replies.simple(request, fault.error);
  }

  #performEmpty(request: Request): void {
    if (request.payload !== undefined) this.#pool.give(request.payload);
    if (request.type === NBD_CMD_READ && this.#rules.structuredReplies) this.#replies.none(request);
    else this.#replies.simple(request, 0);
  }

  #performRead(request: Request): void {
    if (!this.#rules.structuredReplies) return void this.#readSimple(request);
    if (request.length <= READ_CHUNK || (request.flags & NBD_CMD_FLAG_DF) !== 0) return void this.#readChunk(request);
    void this.#readInParts(request);
  }

  async #readSimple(request: Request): Promise<void> {
    const found = await this.#read(request, request.offset, request.length);
    if (Buffer.isBuffer(found)) this.#replies.simpleData(request, found);
    else this.#replies.simple(request, found.error);
  }

  async #readChunk(request: Request): Promise<void> {
    const found = await this.#read(request, request.offset, request.length);
    if (Buffer.isBuffer(found)) this.#replies.data(request, request.offset, found, request.length, true);
    else this.#replies.error(request, found);
  }

  /** Answers in chunks, holes as holes, in the order in which the disk delivers. */
  async #readInParts(request: Request): Promise<void> {
    const parts = readParts(request.offset, request.length, await this.#extentsForRead(request), READ_CHUNK);
    let next = 0;
    let left = parts.length;
    const takeTurns = async () => {
      for (let part = parts[next++]; part !== undefined && !this.#replies.closed; part = parts[next++]) {
        if (part.zero) {
          this.#replies.hole(request, part.offset, part.length, --left === 0);
          continue;
        }
        const found = await this.#read(request, part.offset, part.length);
        const last = --left === 0;
        if (Buffer.isBuffer(found)) this.#replies.data(request, part.offset, found, part.length, last);
        else this.#replies.error(request, found, last, part.offset);
      }
    };
    for (let turn = 0; turn < CHUNKS_AT_A_TIME; turn++) void takeTurns();
  }

  async #extentsForRead(request: Request): Promise<readonly Extent[]> {
    this.#target.requestStarted();
    try {
      return await this.#backend.blockStatus(request.offset, request.length, { maxExtents: READ_EXTENTS });
    } catch {
      return []; // Where the holes are is only good to know: everything is read.
    } finally {
      this.#target.requestEnded();
    }
  }

  /** A pooled buffer whose first `length` bytes were read. */
  async #read(request: Request, offset: number, length: number): Promise<Buffer | RequestFault> {
    let data: Buffer | undefined;
    this.#target.requestStarted();
    try {
      data = this.#pool.take(length);
      await this.#backend.read(offset, data.length === length ? data : data.subarray(0, length));
      return data;
    } catch (error) {
      if (data !== undefined) this.#pool.give(data);
      return this.#faultOf(request, error);
    } finally {
      this.#target.requestEnded();
    }
  }

  async #write(request: Request): Promise<void> {
    const payload = request.payload!;
    let fault: RequestFault | undefined;
    this.#target.requestStarted();
    try {
      const data = payload.length === request.length ? payload : payload.subarray(0, request.length);
      await this.#backend.write(request.offset, data, durability(request));
    } catch (error) {
      fault = this.#faultOf(request, error);
    }
    this.#pool.give(payload);
    this.#finish(request, fault);
  }

  async #flush(request: Request): Promise<void> {
    let fault: RequestFault | undefined;
    this.#target.requestStarted();
    try {
      await this.#backend.flush();
    } catch (error) {
      fault = this.#faultOf(request, error);
    }
    this.#finish(request, fault);
  }

  async #trim(request: Request): Promise<void> {
    let fault: RequestFault | undefined;
    this.#target.requestStarted();
    try {
      await this.#backend.discard(request.offset, request.length, durability(request));
    } catch (error) {
      fault = this.#faultOf(request, error);
    }
    this.#finish(request, fault);
  }

  async #writeZeroes(request: Request): Promise<void> {
    let fault: RequestFault | undefined;
    this.#target.requestStarted();
    try {
      await this.#backend.writeZeroes(request.offset, request.length, {
        fua: (request.flags & NBD_CMD_FLAG_FUA) !== 0,
        mayUnmap: (request.flags & NBD_CMD_FLAG_NO_HOLE) === 0,
        fast: (request.flags & NBD_CMD_FLAG_FAST_ZERO) !== 0,
      });
    } catch (error) {
      fault = this.#faultOf(request, error);
    }
    this.#finish(request, fault);
  }

  async #blockStatus(request: Request): Promise<void> {
    const one = (request.flags & NBD_CMD_FLAG_REQ_ONE) !== 0;
    let fault: RequestFault | undefined;
    this.#target.requestStarted();
    try {
      const extents = await this.#backend.blockStatus(request.offset, request.length, {
        maxExtents: one ? 1 : MAX_EXTENTS,
      });
      const descriptors = this.#pool.take(descriptorBytes(extents.length));
      const length = writeDescriptors(descriptors, extents, request.length, one);
      this.#replies.blockStatus(request, CONTEXT_ID_BASE_ALLOCATION, descriptors, length);
    } catch (error) {
      fault = this.#faultOf(request, error);
    }
    if (fault !== undefined) this.refuse(request, fault);
    this.#target.requestEnded();
  }

  /** The reply to everything that answers with nothing but success or an error. */
  #finish(request: Request, fault: RequestFault | undefined): void {
    if (fault === undefined) this.#replies.simple(request, 0);
    else this.refuse(request, fault);
    this.#target.requestEnded();
  }

  #faultOf(request: Request, error: unknown): RequestFault {
    const { type, offset, length } = request;
    if (requestFailed.hasSubscribers) {
      requestFailed.publish({ export: this.#target.name, type, offset, length, error });
    }
    // Only texts that we wrote go to the peer.
    return { error: nbdErrorFor(error), text: error instanceof FdsetError ? error.message : 'internal error' };
  }
}

function durability(request: Request): { readonly fua: boolean } {
  return (request.flags & NBD_CMD_FLAG_FUA) !== 0 ? fua : notFua;
}
