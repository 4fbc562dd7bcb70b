// How does the client choose an export? The client's side of the fixed newstyle handshake, always with NBD_OPT_GO.
import type { ClientStream } from './client-stream.ts';
import {
  NBD_FLAG_C_FIXED_NEWSTYLE,
  NBD_FLAG_C_NO_ZEROES,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_DESCRIPTION,
  NBD_INFO_EXPORT,
  NBD_MAGIC,
  NBD_MAX_BUFFER_SIZE,
  NBD_META_BASE_ALLOCATION,
  NBD_OPTS_MAGIC,
  NBD_OPT_GO,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_UNSUP,
  NBD_REP_FLAG_ERROR,
  NBD_REP_INFO,
  NBD_REP_MAGIC,
  NBD_REP_META_CONTEXT,
} from './constants.ts';
import { NbdProtocolError, NbdReplyError } from './errors.ts';
import type { BlockSizes } from './option-replies.ts';

/** What the client asks for. */
export interface HandshakeWishes {
  readonly exportName: string;
  readonly structuredReplies: boolean;
  /** base:allocation; comes only with structured replies. */
  readonly blockStatus: boolean;
}

/** What the server granted and said of the export. */
export interface GrantedSession {
  /** In bytes. */
  readonly size: number;
  /** NBD_FLAG_… */
  readonly flags: number;
  readonly description: string | undefined;
  readonly blockSizes: BlockSizes;
  readonly structuredReplies: boolean;
  /** The id of base:allocation in replies; undefined: the server will not tell block status. */
  readonly contextId: number | undefined;
}

type Send = (bytes: Buffer) => void;
interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

const LONGEST_OPTION_REPLY = 64 * 1024;
const MAX_OPTION_REPLIES = 1000;

/**
 * Negotiates until the transmission phase.
 * @throws NbdReplyError where the server refuses the export, NbdProtocolError where it breaks the protocol
 */
export async function negotiate(stream: ClientStream, send: Send, wishes: HandshakeWishes): Promise<GrantedSession> {
  await greet(stream, send);
  const structuredReplies = wishes.structuredReplies && (await askStructuredReplies(stream, send));
  let contextId: number | undefined;
  if (structuredReplies && wishes.blockStatus) contextId = await askContext(stream, send, wishes.exportName);
  return { ...(await go(stream, send, wishes.exportName)), structuredReplies, contextId };
}

async function greet(stream: ClientStream, send: Send): Promise<void> {
  const greeting = await stream.read(18);
  if (greeting.readBigUInt64BE(0) !== NBD_MAGIC || greeting.readBigUInt64BE(8) !== NBD_OPTS_MAGIC) {
    throw new NbdProtocolError('this is no newstyle NBD server');
  }
  const flags = greeting.readUInt16BE(16);
  if ((flags & NBD_FLAG_FIXED_NEWSTYLE) === 0) throw new NbdProtocolError('the server is not fixed newstyle');
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE(NBD_FLAG_C_FIXED_NEWSTYLE | (flags & NBD_FLAG_NO_ZEROES ? NBD_FLAG_C_NO_ZEROES : 0), 0);
  send(answer);
}

async function askStructuredReplies(stream: ClientStream, send: Send): Promise<boolean> {
  sendOption(send, NBD_OPT_STRUCTURED_REPLY, Buffer.alloc(0));
  const { type, data } = await readReply(stream, NBD_OPT_STRUCTURED_REPLY);
  if (type === NBD_REP_ACK) return true;
  if (type === NBD_REP_ERR_UNSUP) return false;
  throw refusal('structured replies', type, data);
}

async function askContext(stream: ClientStream, send: Send, exportName: string): Promise<number | undefined> {
  const query = Buffer.from(NBD_META_BASE_ALLOCATION);
  sendOption(
    send,
    NBD_OPT_SET_META_CONTEXT,
    Buffer.concat([withLength(exportName), uint32(1), uint32(query.length), query]),
  );
  let contextId: number | undefined;
  for (let replies = 0; replies < MAX_OPTION_REPLIES; replies++) {
    const { type, data } = await readReply(stream, NBD_OPT_SET_META_CONTEXT);
    if (type === NBD_REP_ACK) return contextId;
    if (type === NBD_REP_ERR_UNSUP) return undefined;
    if (type !== NBD_REP_META_CONTEXT || data.length < 4) throw refusal('metadata context', type, data);
    if (data.toString('utf8', 4) !== NBD_META_BASE_ALLOCATION) {
      throw new NbdProtocolError('the server selected a metadata context that nobody asked for');
    }
    contextId = data.readUInt32BE(0);
  }
  throw new NbdProtocolError('the server does not stop answering');
}

type ExportAnswer = Pick<GrantedSession, 'size' | 'flags' | 'description' | 'blockSizes'>;

async function go(stream: ClientStream, send: Send, exportName: string): Promise<ExportAnswer> {
  const infos = Buffer.from([0, 1, 0, NBD_INFO_BLOCK_SIZE]);
  sendOption(send, NBD_OPT_GO, Buffer.concat([withLength(exportName), infos]));
  let exportInfo: { size: number; flags: number } | undefined;
  let description: string | undefined;
  let blockSizes: BlockSizes = { minimum: 1, preferred: 4096, maximum: NBD_MAX_BUFFER_SIZE };
  for (let replies = 0; replies < MAX_OPTION_REPLIES; replies++) {
    const { type, data } = await readReply(stream, NBD_OPT_GO);
    if (type === NBD_REP_ACK) {
      if (exportInfo === undefined) throw new NbdProtocolError('the server did not tell the size of the export');
      return { ...exportInfo, description, blockSizes };
    }
    if (type !== NBD_REP_INFO || data.length < 2) throw refusal(`export '${exportName}'`, type, data);
    const info = data.readUInt16BE(0);
    if (info === NBD_INFO_EXPORT) exportInfo = readExportInfo(data);
    else if (info === NBD_INFO_BLOCK_SIZE) blockSizes = readBlockSizes(data);
    else if (info === NBD_INFO_DESCRIPTION) description = data.toString('utf8', 2);
  }
  throw new NbdProtocolError('the server does not stop answering');
}

function readExportInfo(data: Buffer): { size: number; flags: number } {
  if (data.length !== 12) throw new NbdProtocolError('NBD_INFO_EXPORT has a wrong length');
  const size = data.readBigUInt64BE(2);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new NbdProtocolError(`an export of ${size} bytes is too large`);
  return { size: Number(size), flags: data.readUInt16BE(10) };
}

function readBlockSizes(data: Buffer): BlockSizes {
  if (data.length !== 14) throw new NbdProtocolError('NBD_INFO_BLOCK_SIZE has a wrong length');
  const sizes = { minimum: data.readUInt32BE(2), preferred: data.readUInt32BE(6), maximum: data.readUInt32BE(10) };
  const { minimum, preferred, maximum } = sizes;
  const isPower = (value: number) => value > 0 && Number.isInteger(Math.log2(value));
  if (!isPower(minimum) || !isPower(preferred) || preferred < minimum || maximum < preferred) {
    throw new NbdProtocolError(`block sizes that cannot be: ${minimum}, ${preferred}, ${maximum}`);
  }
  return sizes;
}

function sendOption(send: Send, option: number, data: Buffer): void {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(NBD_OPTS_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  send(Buffer.concat([header, data]));
}

async function readReply(stream: ClientStream, option: number): Promise<OptionReply> {
  const header = await stream.read(20);
  if (header.readBigUInt64BE(0) !== NBD_REP_MAGIC) throw new NbdProtocolError('bad magic in an option reply');
  if (header.readUInt32BE(8) !== option) throw new NbdProtocolError('a reply to an option that was not sent');
  const length = header.readUInt32BE(16);
  if (length > LONGEST_OPTION_REPLY) throw new NbdProtocolError(`an option reply of ${length} bytes`);
  return { type: header.readUInt32BE(12), data: await stream.read(length) };
}

function refusal(what: string, type: number, data: Buffer): Error {
  if (type < NBD_REP_FLAG_ERROR) return new NbdProtocolError(`${what}: unexpected option reply ${type}`);
  return new NbdReplyError(what, type, data.toString());
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
