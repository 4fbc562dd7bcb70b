// How does the data path of one connection run? Bytes come in and become requests; requests are bounded in number and
// in bytes; the performer carries them out and the reply queue sends what comes of it.
//
//   header ──▶ held (no room for its bytes yet) ──▶ payload ──▶ performed or refused ──▶ header …
//
// This is the plain TypeScript engine: it needs of a connection what `Wire` says and nothing else.
import type { BufferPool } from './buffer-pool.ts';
import { NBD_CMD_DISC, NBD_CMD_READ, NBD_CMD_WRITE, NBD_ENOMEM, NBD_MAX_BUFFER_SIZE } from './constants.ts';
import { type PerformTarget, Performer } from './perform.ts';
import { ReplyQueue, type SendPieces } from './reply-queue.ts';
import { type RequestFault, type RequestRules, checkRequest } from './request-check.ts';
import { type Request, RequestParser, newRequest } from './request-parser.ts';

/** What the data path asks of its connection. */
export interface Wire {
  readonly send: SendPieces;
  /** Receives no more until `resume`. */
  pause(): void;
  resume(): void;
  /** Everything has been answered and sent: closes in good order. */
  finish(reason: string): void;
  /** The stream makes no sense any more: closes at once. */
  abort(reason: string): void;
  /** After a close: the disk has answered the last request. */
  settled(): void;
}

/** How much one connection may have under way; what is beyond waits in the socket. */
export interface TransmissionLimits {
  readonly maxRequests: number;
  /** Payloads of reads and writes together, in bytes. One request alone may exceed it. */
  readonly maxBytes: number;
}

export const DEFAULT_TRANSMISSION_LIMITS: TransmissionLimits = { maxRequests: 64, maxBytes: 64 * 1024 * 1024 };

/** A refused WRITE's payload up to this long is read and dropped; behind a longer one the connection is closed. */
const MAX_SKIPPED_PAYLOAD = 2 * NBD_MAX_BUFFER_SIZE;
/** A payload of which this much is missing is received straight into its own memory. */
const DIRECT_RECEIVE = 64 * 1024;

const noMemory: RequestFault = { error: NBD_ENOMEM, text: 'no memory for the payload' };

type Phase = 'header' | 'held' | 'payload' | 'finishing' | 'closed';

/** The transmission phase of one connection. */
export class Transmission {
  readonly #wire: Wire;
  readonly #rules: RequestRules;
  readonly #limits: TransmissionLimits;
  readonly #pool: BufferPool;
  readonly #parser = new RequestParser();
  readonly #replies: ReplyQueue;
  readonly #performer: Performer;
  readonly #free: Request[] = [];
  #phase: Phase = 'header';
  /** The request that is being received. */
  #current = newRequest();
  #fault: RequestFault | undefined;
  /** Taken up and not yet answered. */
  #requests = 0;
  #bytes = 0;
  /** Calls that the disk has not answered. */
  #underWay = 0;
  #paused = false;
  /** Parsing stopped for want of room, not for want of bytes. */
  #full = false;

  constructor(target: PerformTarget, rules: RequestRules, wire: Wire, limits: TransmissionLimits, pool: BufferPool) {
    this.#wire = wire;
    this.#rules = rules;
    this.#limits = limits;
    this.#pool = pool;
    this.#replies = new ReplyQueue(wire.send, pool, (requests) => this.#onSent(requests));
    this.#performer = new Performer(this.#counted(target), rules, this.#replies, pool);
  }

  /** Whether the disk still has requests of this connection, which hold memory. */
  get busy(): boolean {
    return this.#underWay > 0;
  }

  /** Where the next bytes may be received without a copy: the missing part of a long payload. */
  receiveInto(): Buffer | undefined {
    const room = this.#phase === 'payload' ? this.#parser.payloadRoom() : undefined;
    return room !== undefined && room.length >= DIRECT_RECEIVE ? room : undefined;
  }

  /** `length` bytes have been received into what `receiveInto()` gave last. */
  receivedDirectly(length: number): void {
    if (this.#phase !== 'payload') return;
    this.#parser.payloadReceived(length);
    this.#parse();
  }

  /** Takes received bytes. They are lent: nothing of them is kept. */
  receive(chunk: Buffer): void {
    // proto.md: nothing may follow NBD_CMD_DISC. The end of the stream is still of interest, so bytes are dropped.
    if (this.#phase === 'finishing' || this.#phase === 'closed') return;
    this.#parser.feed(chunk);
    this.#parse();
    this.#parser.keepRest();
  }

  /** The connection is gone. Requests under way run to their end, and nobody hears of it. */
  close(): void {
    if (this.#phase === 'payload' && this.#current.payload !== undefined) this.#pool.give(this.#current.payload);
    this.#phase = 'closed';
    this.#replies.close();
  }

  #parse(): void {
    this.#full = false;
    while (this.#step()) {
      // one phase after the other
    }
    // What cannot be taken up stays in the socket. Without such bytes reading goes on: it is how the end is noticed.
    const mustWait = this.#full && this.#parser.unparsed > 0;
    if (mustWait === this.#paused || this.#phase === 'closed') return;
    this.#paused = mustWait;
    if (mustWait) this.#wire.pause();
    else this.#wire.resume();
  }

  /** One step along the phases; false where it cannot go on now. */
  #step(): boolean {
    switch (this.#phase) {
      case 'header':
        return this.#takeHeader();
      case 'held':
        return this.#admit();
      case 'payload':
        return this.#takePayload();
      case 'finishing':
      case 'closed':
        return false;
    }
  }

  #takeHeader(): boolean {
    if (this.#requests >= this.#limits.maxRequests) {
      this.#full = true;
      return false;
    }
    const request = this.#current;
    const result = this.#parser.header(request);
    if (result === 'more') return false;
    if (result === 'bad magic') {
      this.#wire.abort('invalid request magic');
      return false;
    }
    if (request.type === NBD_CMD_DISC) {
      this.#finishing();
      return false;
    }
    this.#fault = checkRequest(request, this.#rules);
    const carriesData = request.type === NBD_CMD_READ || request.type === NBD_CMD_WRITE;
    request.cost = carriesData && this.#fault === undefined ? request.length : 0;
    this.#phase = 'held';
    return true;
  }

  #admit(): boolean {
    const request = this.#current;
    if (this.#bytes > 0 && this.#bytes + request.cost > this.#limits.maxBytes) {
      this.#full = true;
      return false;
    }
    this.#requests++;
    this.#bytes += request.cost;
    this.#phase = 'payload';
    if (request.type !== NBD_CMD_WRITE) return true;
    this.#fault ??= this.#makeRoom(request);
    if (request.payload !== undefined) {
      this.#parser.receivePayload(request.payload, request.length);
    } else if (request.length <= MAX_SKIPPED_PAYLOAD) {
      this.#parser.skipPayload(request.length);
    } else {
      this.#performer.refuse(request, this.#fault!);
      this.#finishing();
      return false;
    }
    return true;
  }

  #makeRoom(request: Request): RequestFault | undefined {
    try {
      request.payload = this.#pool.take(request.length);
      return undefined;
    } catch {
      return noMemory;
    }
  }

  #takePayload(): boolean {
    if (!this.#parser.payloadComplete()) return false;
    const request = this.#current;
    this.#current = this.#free.pop() ?? newRequest();
    this.#phase = 'header';
    if (this.#fault === undefined) this.#performer.perform(request);
    else this.#performer.refuse(request, this.#fault);
    return true;
  }

  /** Replies have left: their requests no longer count. */
  #onSent(requests: readonly Request[]): void {
    for (const request of requests) {
      this.#requests--;
      this.#bytes -= request.cost;
      request.payload = undefined;
      this.#free.push(request);
    }
    if (this.#full) this.#parse();
    if (this.#phase === 'finishing') this.#finishWhenIdle();
  }

  #counted(target: PerformTarget): PerformTarget {
    return {
      name: target.name,
      backend: target.backend,
      requestStarted: () => {
        this.#underWay++;
        target.requestStarted();
      },
      requestEnded: () => {
        this.#underWay--;
        target.requestEnded();
        if (this.#underWay === 0 && this.#phase === 'closed') this.#wire.settled();
      },
    };
  }

  /** Takes no more requests; once all are answered the connection is closed in good order. */
  #finishing(): void {
    this.#phase = 'finishing';
    this.#finishWhenIdle();
  }

  #finishWhenIdle(): void {
    if (this.#requests === 0) this.#wire.finish('client disconnected');
  }
}
