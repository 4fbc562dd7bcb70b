// Which requests lie in the received bytes? Chunks are lent and parsed in place; only a header cut in two, a payload
// and what cannot be taken up yet are copied.
import { NBD_REQUEST_MAGIC, NBD_REQUEST_SIZE } from './constants.ts';

/** One request. Objects are reused: whoever hands one out owns it until its reply has left. */
export interface Request {
  type: number;
  flags: number;
  /** The client's name for this request, as two halves of 64 bits: echoed, never interpreted. */
  cookieHigh: number;
  cookieLow: number;
  /** In bytes. Above 2^53 rounded, which is beyond the end of any export just the same. */
  offset: number;
  /** In bytes. */
  length: number;
  /** A WRITE's data, pooled; its first `length` bytes count. */
  payload: Buffer | undefined;
  /** What this request counts against its connection's bytes in flight. */
  cost: number;
}

export function newRequest(): Request {
  return { type: 0, flags: 0, cookieHigh: 0, cookieLow: 0, offset: 0, length: 0, payload: undefined, cost: 0 };
}

/** `more`: the rest of it has not come yet. `bad magic`: the stream cannot be understood any more. */
export type HeaderResult = 'request' | 'more' | 'bad magic';

const nothing = Buffer.alloc(0);

/**
 * The requests of one connection.
 *
 * `header()` reads one header; if the request has a payload, the caller says with `receivePayload()` or `skipPayload()`
 * where it goes, and asks `payloadComplete()` until it is there. Before the lent chunk is given back, `keepRest()`.
 */
export class RequestParser {
  #chunk: Buffer = nothing;
  #at = 0;
  /** The chunk is somebody else's memory. */
  #lent = false;
  readonly #header = Buffer.alloc(NBD_REQUEST_SIZE);
  #headerFilled = 0;
  #payload: Buffer | undefined;
  #payloadFilled = 0;
  #payloadLength = 0;

  /** Takes a lent chunk. It follows the bytes of the last one, whether they are used up or not. */
  feed(chunk: Buffer): void {
    this.#lent = this.unparsed === 0;
    this.#chunk = this.#lent ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Copies what is left of the lent chunk: from here on its memory is not looked at. */
  keepRest(): void {
    if (this.unparsed > 0 && !this.#lent) return;
    this.#chunk = this.unparsed === 0 ? nothing : Buffer.from(this.#chunk.subarray(this.#at));
    this.#at = 0;
    this.#lent = false;
  }

  /** How many bytes of the chunk have not been looked at. */
  get unparsed(): number {
    return this.#chunk.length - this.#at;
  }

  /** Reads the next header into `request`. */
  header(request: Request): HeaderResult {
    if (this.#headerFilled === 0 && this.unparsed >= NBD_REQUEST_SIZE) {
      const at = this.#at;
      this.#at += NBD_REQUEST_SIZE;
      return readHeader(this.#chunk, at, request);
    }
    const part = Math.min(NBD_REQUEST_SIZE - this.#headerFilled, this.unparsed);
    this.#chunk.copy(this.#header, this.#headerFilled, this.#at, this.#at + part);
    this.#at += part;
    this.#headerFilled += part;
    if (this.#headerFilled < NBD_REQUEST_SIZE) return 'more';
    this.#headerFilled = 0;
    return readHeader(this.#header, 0, request);
  }

  /** The next `length` bytes go to the start of `target`. */
  receivePayload(target: Buffer, length: number): void {
    this.#payload = target;
    this.#payloadFilled = 0;
    this.#payloadLength = length;
  }

  /** The next `length` bytes are dropped. */
  skipPayload(length: number): void {
    this.#payload = undefined;
    this.#payloadFilled = 0;
    this.#payloadLength = length;
  }

  /** Takes what the chunk has of the payload; true when it has all come. */
  payloadComplete(): boolean {
    const part = Math.min(this.#payloadLength - this.#payloadFilled, this.unparsed);
    this.#payload?.set(this.#chunk.subarray(this.#at, this.#at + part), this.#payloadFilled);
    this.#at += part;
    this.#payloadFilled += part;
    return this.#payloadFilled === this.#payloadLength;
  }

  /** Where the payload goes on, so that it can be received there without a copy; undefined if it is not due. */
  payloadRoom(): Buffer | undefined {
    if (this.unparsed > 0 || this.#payloadFilled === this.#payloadLength) return undefined;
    return this.#payload?.subarray(this.#payloadFilled, this.#payloadLength);
  }

  /** `length` bytes have been received straight into the room that `payloadRoom()` gave. */
  payloadReceived(length: number): void {
    this.#payloadFilled += length;
  }
}

function readHeader(bytes: Buffer, at: number, request: Request): HeaderResult {
  if (bytes.readUInt32BE(at) !== NBD_REQUEST_MAGIC) return 'bad magic';
  request.flags = bytes.readUInt16BE(at + 4);
  request.type = bytes.readUInt16BE(at + 6);
  request.cookieHigh = bytes.readUInt32BE(at + 8);
  request.cookieLow = bytes.readUInt32BE(at + 12);
  request.offset = bytes.readUInt32BE(at + 16) * 0x100000000 + bytes.readUInt32BE(at + 20);
  request.length = bytes.readUInt32BE(at + 24);
  request.payload = undefined;
  request.cost = 0;
  return 'request';
}
