// What does the data of a handshake option say? Bytes in, plain values or a complaint out; every length in it is a
// peer's claim.
import { NBD_MAX_STRING_SIZE } from './constants.ts';

/** The data is malformed: `text` is what NBD_REP_ERR_INVALID says. */
export interface OptionComplaint {
  readonly complaint: string;
}

/** The data of NBD_OPT_INFO and NBD_OPT_GO. */
export interface InfoQuery {
  readonly name: string;
  readonly infos: ReadonlySet<number>;
}

/** The data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export interface MetaContextQuery {
  readonly name: string;
  readonly queries: readonly string[];
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes as a name, or undefined where they are no UTF-8. Source: proto.md, "Values": strings are UTF-8. */
export function readName(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Reads along the data; after a claim that reaches beyond the end every read gives nothing and `broken` stands. */
class OptionReader {
  readonly #data: Buffer;
  #at = 0;
  broken = false;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get rest(): number {
    return this.#data.length - this.#at;
  }

  uint16(): number {
    return this.#has(2) ? this.#data.readUInt16BE(this.#advance(2)) : 0;
  }

  uint32(): number {
    return this.#has(4) ? this.#data.readUInt32BE(this.#advance(4)) : 0;
  }

  bytes(length: number): Buffer {
    if (!this.#has(length)) return this.#data.subarray(0, 0);
    const start = this.#advance(length);
    return this.#data.subarray(start, start + length);
  }

  #has(length: number): boolean {
    if (this.rest < length) this.broken = true;
    return !this.broken;
  }

  #advance(length: number): number {
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

/** Reads `uint32 length, name`. */
function readExportName(reader: OptionReader, optionName: string): string | OptionComplaint {
  const length = reader.uint32();
  if (!reader.broken && length > NBD_MAX_STRING_SIZE) return { complaint: `Invalid name length: ${length}` };
  const bytes = reader.bytes(length);
  if (reader.broken) return inconsistent(optionName);
  return readName(bytes) ?? { complaint: 'Name is not valid UTF-8' };
}

function inconsistent(optionName: string): OptionComplaint {
  return { complaint: `Inconsistent lengths in option ${optionName}` };
}

function unexpectedLength(optionName: string): OptionComplaint {
  return { complaint: `option '${optionName}' has unexpected length` };
}

/** Reads the data of INFO and GO: name, then a counted list of 16-bit information types. */
export function readInfoQuery(data: Buffer, optionName: string): InfoQuery | OptionComplaint {
  const reader = new OptionReader(data);
  const name = readExportName(reader, optionName);
  if (typeof name !== 'string') return name;
  const count = reader.uint16();
  if (reader.broken) return inconsistent(optionName);
  if (reader.rest !== count * 2) return unexpectedLength(optionName);
  const infos = new Set<number>();
  for (let index = 0; index < count; index++) infos.add(reader.uint16());
  return { name, infos };
}

/** Reads the data of LIST_META_CONTEXT and SET_META_CONTEXT: name, then a counted list of query strings. */
export function readMetaContextQuery(data: Buffer, optionName: string): MetaContextQuery | OptionComplaint {
  const reader = new OptionReader(data);
  const name = readExportName(reader, optionName);
  if (typeof name !== 'string') return name;
  const count = reader.uint32();
  const queries: string[] = [];
  for (let index = 0; index < count && !reader.broken; index++) {
    // A query that is no UTF-8 or too long names no context of ours; it is skipped like any other unknown one.
    const bytes = reader.bytes(reader.uint32());
    queries.push((bytes.length <= NBD_MAX_STRING_SIZE ? readName(bytes) : undefined) ?? '');
  }
  if (reader.broken) return inconsistent(optionName);
  if (reader.rest !== 0) return unexpectedLength(optionName);
  return { name, queries };
}
