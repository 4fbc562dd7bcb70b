// How are the server's messages of the handshake written? Plain values in, bytes out.
import {
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_DESCRIPTION,
  NBD_INFO_EXPORT,
  NBD_INFO_NAME,
  NBD_MAGIC,
  NBD_OPTION_REPLY_HEADER_SIZE,
  NBD_OPTS_MAGIC,
  NBD_REP_INFO,
  NBD_REP_MAGIC,
  NBD_REP_META_CONTEXT,
  NBD_REP_SERVER,
} from './constants.ts';

/** The smallest, preferred and largest request of an export, in bytes. Source: proto.md, "Block size constraints". */
export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly maximum: number;
}

/** What the server says first: both magics and its handshake flags. */
export function serverGreeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(NBD_MAGIC, 0);
  bytes.writeBigUInt64BE(NBD_OPTS_MAGIC, 8);
  bytes.writeUInt16BE(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES, 16);
  return bytes;
}

/** A reply to `option`: an NBD_REP_… type with its data (text where it is an error). */
export function optionReply(option: number, type: number, data: Uint8Array | string = ''): Buffer {
  const body = typeof data === 'string' ? Buffer.from(data) : data;
  const bytes = Buffer.alloc(NBD_OPTION_REPLY_HEADER_SIZE + body.length);
  bytes.writeBigUInt64BE(NBD_REP_MAGIC, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(type, 12);
  bytes.writeUInt32BE(body.length, 16);
  bytes.set(body, NBD_OPTION_REPLY_HEADER_SIZE);
  return bytes;
}

/** One export in the answer to LIST. */
export function serverReply(option: number, name: string, description = ''): Buffer {
  const nameBytes = Buffer.from(name);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(nameBytes.length, 0);
  return optionReply(option, NBD_REP_SERVER, Buffer.concat([length, nameBytes, Buffer.from(description)]));
}

/** The metadata context `name` under the id that BLOCK_STATUS replies will carry. */
export function metaContextReply(option: number, id: number, name: string): Buffer {
  const idBytes = Buffer.alloc(4);
  idBytes.writeUInt32BE(id, 0);
  return optionReply(option, NBD_REP_META_CONTEXT, Buffer.concat([idBytes, Buffer.from(name)]));
}

/** NBD_INFO_EXPORT: size in bytes and transmission flags. */
export function exportInfo(option: number, size: number, flags: number): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt16BE(NBD_INFO_EXPORT, 0);
  writeSizeAndFlags(data, 2, size, flags);
  return optionReply(option, NBD_REP_INFO, data);
}

/** NBD_INFO_NAME: the canonical name of the export. */
export function nameInfo(option: number, name: string): Buffer {
  return textInfo(option, NBD_INFO_NAME, name);
}

/** NBD_INFO_DESCRIPTION: the export's description. */
export function descriptionInfo(option: number, description: string): Buffer {
  return textInfo(option, NBD_INFO_DESCRIPTION, description);
}

/** NBD_INFO_BLOCK_SIZE: the block size constraints. */
export function blockSizeInfo(option: number, sizes: BlockSizes): Buffer {
  const data = Buffer.alloc(14);
  data.writeUInt16BE(NBD_INFO_BLOCK_SIZE, 0);
  data.writeUInt32BE(sizes.minimum, 2);
  data.writeUInt32BE(sizes.preferred, 6);
  data.writeUInt32BE(sizes.maximum, 10);
  return optionReply(option, NBD_REP_INFO, data);
}

/** The answer to EXPORT_NAME, which is no option reply: size, flags and, for old clients, 124 zeroes. */
export function exportNameAnswer(size: number, flags: number, zeroes: boolean): Buffer {
  const bytes = Buffer.alloc(zeroes ? 134 : 10);
  writeSizeAndFlags(bytes, 0, size, flags);
  return bytes;
}

function textInfo(option: number, type: number, text: string): Buffer {
  const textBytes = Buffer.from(text);
  const data = Buffer.alloc(2 + textBytes.length);
  data.writeUInt16BE(type, 0);
  data.set(textBytes, 2);
  return optionReply(option, NBD_REP_INFO, data);
}

function writeSizeAndFlags(target: Buffer, at: number, size: number, flags: number): void {
  target.writeBigUInt64BE(BigInt(size), at);
  target.writeUInt16BE(flags, at + 8);
}
