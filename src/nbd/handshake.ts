// How does a connection get from the greeting to the transmission phase? The server's side of the fixed newstyle
// handshake as a state machine: bytes in, actions out, no socket, no clock.
//
//   client flags ──▶ option ──▶ option … ──▶ transmission        EXPORT_NAME or GO with a name we export
//        │             │ ▲ └─▶ skipping ─┐    (over)
//        │             │ └───────────────┘   data of an option that is refused unread
//        └─────────────┴────────▶ closed     ABORT, or something after which the stream cannot be understood
//
// Source: proto.md, "Fixed newstyle negotiation"; the texts and the order of the replies are QEMU's.
import {
  NBD_FLAG_C_FIXED_NEWSTYLE,
  NBD_FLAG_C_NO_ZEROES,
  NBD_FLAG_SEND_DF,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_NAME,
  NBD_MAX_BUFFER_SIZE,
  NBD_MAX_STRING_SIZE,
  NBD_META_BASE_ALLOCATION,
  NBD_OPTION_HEADER_SIZE,
  NBD_OPTS_MAGIC,
  NBD_OPT_ABORT,
  NBD_OPT_EXPORT_NAME,
  NBD_OPT_GO,
  NBD_OPT_INFO,
  NBD_OPT_LIST,
  NBD_OPT_LIST_META_CONTEXT,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_BLOCK_SIZE_REQD,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_TOO_BIG,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_ERR_UNSUP,
} from './constants.ts';
import { ByteQueue } from './byte-queue.ts';
import { readInfoQuery, readMetaContextQuery, readName } from './option-data.ts';
import {
  type BlockSizes,
  blockSizeInfo,
  descriptionInfo,
  exportInfo,
  exportNameAnswer,
  metaContextReply,
  nameInfo,
  optionReply,
  serverGreeting,
  serverReply,
} from './option-replies.ts';

/** What the handshake tells clients about an export. */
export interface ExportFacts {
  readonly name: string;
  readonly description?: string | undefined;
  /** In bytes. */
  readonly size: number;
  /** Transmission flags without NBD_FLAG_SEND_DF, which belongs to connections with structured replies. */
  readonly flags: number;
  readonly blockSizes: BlockSizes;
}

/** What the handshake asks the server. */
export interface ExportDirectory<E extends ExportFacts> {
  find(name: string): E | undefined;
  all(): Iterable<E>;
}

/** What client and server have agreed on for the transmission phase. */
export interface NegotiatedSession<E extends ExportFacts> {
  readonly export: E;
  readonly structuredReplies: boolean;
  /** The client may send BLOCK_STATUS and gets base:allocation under id 0. */
  readonly blockStatus: boolean;
  /** Requests must be multiples of this many bytes: 1 where the client never asked for the block sizes. */
  readonly alignment: number;
}

/** What the connection has to do next. `reason` is for logs and tests. */
export type HandshakeAction<E extends ExportFacts> =
  | { readonly do: 'send'; readonly bytes: Buffer }
  | { readonly do: 'transmit'; readonly bytes: Buffer; readonly session: NegotiatedSession<E> }
  | { readonly do: 'close'; readonly bytes?: Buffer; readonly reason: string };

/** The longest option data that is kept, in bytes: a name and a dozen queries of the longest sort. */
const MAX_OPTION_DATA = 64 * 1024;
/** How many options one client may send before it is taken for one that only wants to keep us busy. */
export const MAX_OPTIONS = 4096;
const CONTEXT_ID_BASE_ALLOCATION = 0;

const optionNames = new Map([
  [NBD_OPT_EXPORT_NAME, 'export name'],
  [NBD_OPT_ABORT, 'abort'],
  [NBD_OPT_LIST, 'list'],
  [NBD_OPT_STARTTLS, 'starttls'],
  [NBD_OPT_INFO, 'info'],
  [NBD_OPT_GO, 'go'],
  [NBD_OPT_STRUCTURED_REPLY, 'structured reply'],
  [NBD_OPT_LIST_META_CONTEXT, 'list meta context'],
  [NBD_OPT_SET_META_CONTEXT, 'set meta context'],
]);

type State = 'client flags' | 'option' | 'skipping' | 'over';

/** One client's handshake. Feed it bytes, then do what `next()` says until it says nothing. */
export class Handshake<E extends ExportFacts> {
  readonly #exports: ExportDirectory<E>;
  readonly #received = new ByteQueue();
  #state: State = 'client flags';
  #fixedNewstyle = false;
  #noZeroes = false;
  #options = 0;
  /** Bytes of refused option data still to come, and what to say behind them. */
  #toSkip = 0;
  #replyAfterSkip: Buffer | undefined;
  #structuredReplies = false;
  /** The export for which the client selected base:allocation. */
  #contextExport: E | undefined;

  constructor(exports: ExportDirectory<E>) {
    this.#exports = exports;
  }

  /** What to send as soon as the client is there. */
  greeting(): Buffer {
    return serverGreeting();
  }

  /** Takes received bytes; they are copied. */
  feed(bytes: Uint8Array): void {
    this.#received.append(bytes);
  }

  /** The bytes behind the handshake: the first of the transmission phase. */
  rest(): Buffer {
    return this.#received.peek(this.#received.length);
  }

  /** The next thing to do, or undefined: more bytes are needed (or the handshake is over). */
  next(): HandshakeAction<E> | undefined {
    for (;;) {
      switch (this.#state) {
        case 'client flags': {
          if (this.#received.length < 4) return undefined;
          const action = this.#clientFlags();
          if (action !== undefined) return action;
          break;
        }
        case 'option':
          return this.#nextOption();
        case 'skipping': {
          this.#toSkip -= this.#received.skip(this.#toSkip);
          if (this.#toSkip > 0) return undefined;
          this.#state = 'option';
          return { do: 'send', bytes: this.#replyAfterSkip! };
        }
        case 'over':
          return undefined;
      }
    }
  }

  #clientFlags(): HandshakeAction<E> | undefined {
    const flags = this.#received.peek(4).readUInt32BE(0);
    this.#received.skip(4);
    const unknown = flags & ~(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES);
    if (unknown !== 0) return this.#close(`Unknown client flags 0x${(unknown >>> 0).toString(16)} received`);
    this.#fixedNewstyle = (flags & NBD_FLAG_C_FIXED_NEWSTYLE) !== 0;
    this.#noZeroes = (flags & NBD_FLAG_C_NO_ZEROES) !== 0;
    this.#state = 'option';
    return undefined;
  }

  #nextOption(): HandshakeAction<E> | undefined {
    if (this.#received.length < NBD_OPTION_HEADER_SIZE) return undefined;
    const header = this.#received.peek(NBD_OPTION_HEADER_SIZE);
    if (header.readBigUInt64BE(0) !== NBD_OPTS_MAGIC) return this.#close('Bad magic received');
    const option = header.readUInt32BE(8);
    const length = header.readUInt32BE(12);
    const refusal = this.#refuseUnread(option, length);
    if (refusal !== undefined) return refusal;
    if (this.#state === 'skipping') return this.next();
    if (this.#received.length < NBD_OPTION_HEADER_SIZE + length) return undefined;
    this.#options++;
    this.#received.skip(NBD_OPTION_HEADER_SIZE);
    const data = this.#received.peek(length);
    const action = this.#answer(option, data);
    this.#received.skip(length);
    return action;
  }

  /** Closes, or begins to skip, where the header alone says that the data will not be looked at. */
  #refuseUnread(option: number, length: number): HandshakeAction<E> | undefined {
    const name = optionNames.get(option);
    if (this.#options >= MAX_OPTIONS) return this.#close('Too many options');
    if (length > NBD_MAX_BUFFER_SIZE) {
      return this.#close(`len (${length}) is larger than max len (${NBD_MAX_BUFFER_SIZE})`);
    }
    if (option === NBD_OPT_EXPORT_NAME && length > NBD_MAX_STRING_SIZE) return this.#close('Bad length received');
    // Without fixed newstyle a client understands no option replies, hence no refusal either.
    if (!this.#fixedNewstyle && option !== NBD_OPT_EXPORT_NAME) return this.#close(`Unsupported option ${option}`);
    if (name === undefined) {
      const text = `Unsupported option ${option} (<unknown>)`;
      this.#skip(length, optionReply(option, NBD_REP_ERR_UNSUP, text));
    } else if (length > MAX_OPTION_DATA) {
      const text = `option '${name}' is longer than ${MAX_OPTION_DATA} bytes`;
      this.#skip(length, optionReply(option, NBD_REP_ERR_TOO_BIG, text));
    }
    return undefined;
  }

  #skip(length: number, replyAfter: Buffer): void {
    this.#options++;
    this.#received.skip(NBD_OPTION_HEADER_SIZE);
    this.#toSkip = length;
    this.#replyAfterSkip = replyAfter;
    this.#state = 'skipping';
  }

  #answer(option: number, data: Buffer): HandshakeAction<E> {
    switch (option) {
      case NBD_OPT_EXPORT_NAME:
        return this.#exportName(data);
      case NBD_OPT_ABORT:
        return this.#close('Client aborted the handshake', optionReply(option, NBD_REP_ACK));
      case NBD_OPT_LIST:
        return this.#list(data);
      case NBD_OPT_STARTTLS:
        if (data.length > 0) return this.#unexpectedLength(option);
        return send(optionReply(option, NBD_REP_ERR_POLICY, 'TLS not configured'));
      case NBD_OPT_STRUCTURED_REPLY:
        return this.#structuredReply(data);
      case NBD_OPT_LIST_META_CONTEXT:
      case NBD_OPT_SET_META_CONTEXT:
        return this.#metaContext(option, data);
      default:
        return this.#infoOrGo(option, data);
    }
  }

  #exportName(data: Buffer): HandshakeAction<E> {
    const name = readName(data);
    const found = name === undefined ? undefined : this.#exports.find(name);
    // proto.md: EXPORT_NAME has no error reply, the server MUST close the connection.
    if (found === undefined) return this.#close('export not found');
    const bytes = exportNameAnswer(found.size, this.#flagsOf(found), !this.#noZeroes);
    return this.#transmit(bytes, found, 1);
  }

  #list(data: Buffer): HandshakeAction<E> {
    if (data.length > 0) return this.#unexpectedLength(NBD_OPT_LIST);
    const replies = [...this.#exports.all()].map(({ name, description }) =>
      serverReply(NBD_OPT_LIST, name, description),
    );
    return send(Buffer.concat([...replies, optionReply(NBD_OPT_LIST, NBD_REP_ACK)]));
  }

  #structuredReply(data: Buffer): HandshakeAction<E> {
    if (data.length > 0) return this.#unexpectedLength(NBD_OPT_STRUCTURED_REPLY);
    if (this.#structuredReplies) return invalid(NBD_OPT_STRUCTURED_REPLY, 'structured reply already negotiated');
    this.#structuredReplies = true;
    return send(optionReply(NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK));
  }

  #metaContext(option: number, data: Buffer): HandshakeAction<E> {
    const optionName = optionNames.get(option)!;
    const listing = option === NBD_OPT_LIST_META_CONTEXT;
    if (!listing) {
      // proto.md: every SET_META_CONTEXT, a failing one too, forgets what an earlier one selected.
      this.#contextExport = undefined;
      if (!this.#structuredReplies) {
        return invalid(option, `request option '${optionName}' when structured reply is not negotiated`);
      }
    }
    const query = readMetaContextQuery(data, optionName);
    if ('complaint' in query) return invalid(option, query.complaint);
    const found = this.#exports.find(query.name);
    if (found === undefined) return notPresent(option, query.name);
    // `base:` and the empty list ask for everything there is, but only when listing.
    const wanted =
      query.queries.includes(NBD_META_BASE_ALLOCATION) ||
      (listing && (query.queries.length === 0 || query.queries.includes('base:')));
    const ack = optionReply(option, NBD_REP_ACK);
    if (!wanted) return send(ack);
    if (!listing) this.#contextExport = found;
    return send(Buffer.concat([metaContextReply(option, CONTEXT_ID_BASE_ALLOCATION, NBD_META_BASE_ALLOCATION), ack]));
  }

  #infoOrGo(option: number, data: Buffer): HandshakeAction<E> {
    const query = readInfoQuery(data, optionNames.get(option)!);
    if ('complaint' in query) return invalid(option, query.complaint);
    const found = this.#exports.find(query.name);
    if (found === undefined) return notPresent(option, query.name);

    const askedBlockSize = query.infos.has(NBD_INFO_BLOCK_SIZE);
    // Whoever goes on without having asked for the block sizes may send anything: it is told 1.
    const minimum = askedBlockSize || option === NBD_OPT_INFO ? found.blockSizes.minimum : 1;
    const replies: Buffer[] = [];
    if (query.infos.has(NBD_INFO_NAME)) replies.push(nameInfo(option, found.name));
    if (found.description !== undefined) replies.push(descriptionInfo(option, found.description));
    replies.push(blockSizeInfo(option, { ...found.blockSizes, minimum }));
    replies.push(exportInfo(option, found.size, this.#flagsOf(found)));
    if (option === NBD_OPT_INFO && !askedBlockSize && minimum > 1) {
      const text = 'request NBD_INFO_BLOCK_SIZE to use this export';
      return send(Buffer.concat([...replies, optionReply(option, NBD_REP_ERR_BLOCK_SIZE_REQD, text)]));
    }
    const bytes = Buffer.concat([...replies, optionReply(option, NBD_REP_ACK)]);
    return option === NBD_OPT_INFO ? send(bytes) : this.#transmit(bytes, found, minimum);
  }

  #transmit(bytes: Buffer, found: E, alignment: number): HandshakeAction<E> {
    this.#state = 'over';
    const session = {
      export: found,
      structuredReplies: this.#structuredReplies,
      blockStatus: this.#contextExport === found,
      alignment,
    };
    return { do: 'transmit', bytes, session };
  }

  #close(reason: string, bytes?: Buffer): HandshakeAction<E> {
    this.#state = 'over';
    return bytes === undefined ? { do: 'close', reason } : { do: 'close', bytes, reason };
  }

  #flagsOf(found: E): number {
    return found.flags | (this.#structuredReplies ? NBD_FLAG_SEND_DF : 0);
  }

  #unexpectedLength(option: number): HandshakeAction<E> {
    return invalid(option, `option '${optionNames.get(option)}' has unexpected length`);
  }
}

function send(bytes: Buffer): { readonly do: 'send'; readonly bytes: Buffer } {
  return { do: 'send', bytes };
}

function invalid(option: number, text: string): { readonly do: 'send'; readonly bytes: Buffer } {
  return send(optionReply(option, NBD_REP_ERR_INVALID, text));
}

function notPresent(option: number, name: string): { readonly do: 'send'; readonly bytes: Buffer } {
  const shown = name.length > 80 ? `${name.slice(0, 80)}...` : name;
  return send(optionReply(option, NBD_REP_ERR_UNKNOWN, `export '${shown}' not present`));
}
