// How is an export read back? A small NBD client for our own checks. It believes nothing that the server says.
import { type Socket, connect as connectSocket } from 'node:net';

import { type GrantedSession, type HandshakeWishes, negotiate } from './client-handshake.ts';
import { ReplyCollector, type SentRequest } from './client-replies.ts';
import { ClientStream } from './client-stream.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_DISC,
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
  NBD_MAX_BUFFER_SIZE,
  NBD_REQUEST_MAGIC,
  NBD_REQUEST_SIZE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
} from './constants.ts';
import { NbdProtocolError } from './errors.ts';
import type { Extent } from './extents.ts';
import type { BlockSizes } from './option-replies.ts';

/** Where the server is: a Unix socket, a TCP port, or a socket that is connected already. */
export type NbdAddress =
  { readonly path: string } | { readonly host: string; readonly port: number } | { readonly socket: Socket };

/** How to connect. */
export interface NbdClientOptions {
  /** Default: `''`, the default export. */
  readonly exportName?: string;
  /** Default: true. */
  readonly structuredReplies?: boolean;
  /** Asks for base:allocation, without which there is no `blockStatus`. Default: true. */
  readonly blockStatus?: boolean;
  /** How long connecting and the handshake may take, and a disconnect, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

interface Pending {
  readonly reply: ReplyCollector;
  readonly resolve: (reply: ReplyCollector) => void;
  readonly reject: (error: Error) => void;
}

const LONGEST_CHUNK = NBD_MAX_BUFFER_SIZE + 8;

/**
 * A connection to one export. Requests may be under way side by side.
 *
 * Every request rejects with NbdReplyError where the server answers with an error, and with NbdProtocolError where the
 * server breaks the protocol or the connection ends; after the latter the client is of no more use.
 */
export class NbdClient {
  readonly #socket: Socket;
  readonly #stream: ClientStream;
  readonly #session: GrantedSession;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #lastCookie = 0;
  #failure: NbdProtocolError | undefined;

  /**
   * Connects and chooses the export.
   * @throws NbdReplyError where the server refuses the export; NbdProtocolError where there is no server, it takes too
   * long or does not speak NBD
   */
  static async connect(address: NbdAddress, options: NbdClientOptions = {}): Promise<NbdClient> {
    const socket = 'socket' in address ? address.socket : connectSocket({ ...address });
    const stream = new ClientStream(socket);
    const timeoutMs = options.timeoutMs ?? 10_000;
    const timer = setTimeout(() => {
      stream.fail(new NbdProtocolError(`no NBD handshake within ${timeoutMs} ms`));
    }, timeoutMs);
    const wishes: HandshakeWishes = {
      exportName: options.exportName ?? '',
      structuredReplies: options.structuredReplies ?? true,
      blockStatus: options.blockStatus ?? true,
    };
    try {
      const session = await negotiate(stream, (bytes) => void socket.write(bytes), wishes);
      return new NbdClient(socket, stream, session, timeoutMs);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(socket: Socket, stream: ClientStream, session: GrantedSession, timeoutMs: number) {
    this.#socket = socket;
    this.#stream = stream;
    this.#session = session;
    this.#timeoutMs = timeoutMs;
    void this.#receiveReplies();
  }

  /** The size of the export in bytes. */
  get size(): number {
    return this.#session.size;
  }

  /** The transmission flags, NBD_FLAG_… */
  get flags(): number {
    return this.#session.flags;
  }

  get description(): string | undefined {
    return this.#session.description;
  }

  get blockSizes(): BlockSizes {
    return this.#session.blockSizes;
  }

  /** Whether the server speaks structured replies with us. */
  get structuredReplies(): boolean {
    return this.#session.structuredReplies;
  }

  /** Reads; at most 32 MiB. `oneChunk` sets NBD_CMD_FLAG_DF. */
  async read(offset: number, length: number, { oneChunk = false } = {}): Promise<Buffer> {
    const flags = oneChunk ? NBD_CMD_FLAG_DF : 0;
    return (await this.#request(NBD_CMD_READ, 'read', flags, offset, length)).data;
  }

  /** Writes; at most 32 MiB. */
  async write(offset: number, data: Uint8Array, { fua = false } = {}): Promise<void> {
    await this.#request(NBD_CMD_WRITE, 'write', fua ? NBD_CMD_FLAG_FUA : 0, offset, data.length, data);
  }

  async flush(): Promise<void> {
    await this.#request(NBD_CMD_FLUSH, 'flush', 0, 0, 0);
  }

  /** Discards; the content is undefined afterwards. */
  async trim(offset: number, length: number, { fua = false } = {}): Promise<void> {
    await this.#request(NBD_CMD_TRIM, 'trim', fua ? NBD_CMD_FLAG_FUA : 0, offset, length);
  }

  /** Writes zeroes: `mayUnmap` lets the server make a hole, `fast` fails with ENOTSUP where that is not faster. */
  async writeZeroes(
    offset: number,
    length: number,
    { fua = false, mayUnmap = true, fast = false } = {},
  ): Promise<void> {
    const flags =
      (fua ? NBD_CMD_FLAG_FUA : 0) | (mayUnmap ? 0 : NBD_CMD_FLAG_NO_HOLE) | (fast ? NBD_CMD_FLAG_FAST_ZERO : 0);
    await this.#request(NBD_CMD_WRITE_ZEROES, 'write-zeroes', flags, offset, length);
  }

  /** Tells the server that this will be read soon. */
  async cache(offset: number, length: number): Promise<void> {
    await this.#request(NBD_CMD_CACHE, 'cache', 0, offset, length);
  }

  /** The allocation from `offset` on; may cover less than `length`. `one` asks for the first extent only. */
  async blockStatus(offset: number, length: number, { one = false } = {}): Promise<readonly Extent[]> {
    const flags = one ? NBD_CMD_FLAG_REQ_ONE : 0;
    return (await this.#request(NBD_CMD_BLOCK_STATUS, 'block-status', flags, offset, length)).extents;
  }

  /** Says goodbye and waits until the server has closed the connection, which it does when all requests are answered. */
  async disconnect(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => void this.#socket.once('close', () => resolve()));
    const timer = setTimeout(() => this.#socket.destroy(), this.#timeoutMs);
    if (!this.#socket.destroyed) this.#send(NBD_CMD_DISC, 0, 0, 0, 0);
    await closed;
    clearTimeout(timer);
  }

  /** Closes at once; requests under way reject. */
  destroy(): void {
    this.#fail(new NbdProtocolError('the client was destroyed'));
  }

  #request(
    type: number,
    what: string,
    flags: number,
    offset: number,
    length: number,
    data?: Uint8Array,
  ): Promise<ReplyCollector> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const request: SentRequest = {
      type,
      what,
      offset,
      length,
      contextId: this.#session.contextId,
      one: (flags & NBD_CMD_FLAG_REQ_ONE) !== 0,
    };
    return new Promise((resolve, reject) => {
      const reply = new ReplyCollector(request);
      const cookie = ++this.#lastCookie;
      this.#pending.set(cookie, { reply, resolve, reject });
      this.#send(type, flags, cookie, offset, length, data);
    });
  }

  #send(type: number, flags: number, cookie: number, offset: number, length: number, data?: Uint8Array): void {
    const header = Buffer.alloc(NBD_REQUEST_SIZE);
    header.writeUInt32BE(NBD_REQUEST_MAGIC, 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(BigInt(cookie), 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(length, 24);
    this.#socket.cork();
    this.#socket.write(header);
    if (data !== undefined) this.#socket.write(data);
    this.#socket.uncork();
  }

  async #receiveReplies(): Promise<void> {
    try {
      for (;;) await this.#receiveReply();
    } catch (error) {
      this.#fail(error instanceof NbdProtocolError ? error : new NbdProtocolError('internal error', { cause: error }));
    }
  }

  async #receiveReply(): Promise<void> {
    const magic = (await this.#stream.read(4)).readUInt32BE(0);
    if (magic === NBD_SIMPLE_REPLY_MAGIC) return this.#simpleReply(await this.#stream.read(12));
    if (magic !== NBD_STRUCTURED_REPLY_MAGIC) throw new NbdProtocolError('bad magic in a reply');
    if (!this.structuredReplies) throw new NbdProtocolError('a structured reply that was not negotiated');
    const header = await this.#stream.read(16);
    const cookie = header.readBigUInt64BE(4);
    const length = header.readUInt32BE(12);
    if (length > LONGEST_CHUNK) throw new NbdProtocolError(`a chunk of ${length} bytes`);
    const payload = await this.#stream.read(length);
    const pending = this.#pendingOf(cookie);
    const chunk = { flags: header.readUInt16BE(0), type: header.readUInt16BE(2), payload };
    if (pending.reply.chunk(chunk)) this.#complete(cookie, pending);
  }

  async #simpleReply(header: Buffer): Promise<void> {
    const error = header.readUInt32BE(0);
    const cookie = header.readBigUInt64BE(4);
    const pending = this.#pendingOf(cookie);
    const isRead = pending.reply.request.type === NBD_CMD_READ;
    if (isRead && this.structuredReplies && error === 0) throw new NbdProtocolError('a simple reply to read');
    pending.reply.simple(error, await this.#stream.read(isRead && error === 0 ? pending.reply.data.length : 0));
    this.#complete(cookie, pending);
  }

  #pendingOf(cookie: bigint): Pending {
    const pending = this.#pending.get(Number(cookie));
    if (pending === undefined) throw new NbdProtocolError(`a reply to a request that is not under way: ${cookie}`);
    return pending;
  }

  #complete(cookie: bigint, { reply, resolve, reject }: Pending): void {
    this.#pending.delete(Number(cookie));
    if (reply.error === undefined) resolve(reply);
    else reject(reply.error);
  }

  #fail(failure: NbdProtocolError): void {
    this.#failure ??= failure;
    this.#stream.fail(failure);
    this.#socket.destroy();
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
