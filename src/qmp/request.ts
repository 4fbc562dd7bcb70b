// What is a request? The server's side: the envelope's checks, in QEMU's order (the command and its arguments come
// later). The client's side: its shortest form.
import { FdsetError } from '../errors.ts';
import {
  inQemuOrder,
  isJsonObject,
  writeJson,
  type JsonObject,
  type JsonOutput,
  type JsonValue,
} from '../json/index.ts';

/** What a client asks for. The command may not exist and the arguments are unchecked. */
export interface QmpRequest {
  readonly command: string;
  readonly arguments: JsonObject | undefined;
  /** Whether it is to be run out of band (`exec-oob`). */
  readonly oob: boolean;
  /** To be echoed in the reply where it is not undefined; `null` is an id. */
  readonly id: JsonValue | undefined;
}

/** A value that is not a request; the message is QEMU's text. */
export class QmpRequestError extends FdsetError {
  /** To be echoed in the reply where it is not undefined. */
  readonly id: JsonValue | undefined;
  /** Whether it was out of band: the reply then does not wait for earlier requests. */
  readonly oob: boolean;

  /** Without a stack, see JsonParseError. */
  constructor(message: string, id: JsonValue | undefined, oob: boolean) {
    const limit = Error.stackTraceLimit;
    Reflect.set(Error, 'stackTraceLimit', 0);
    super('ERR_FDSET_QMP_REQUEST', message);
    Reflect.set(Error, 'stackTraceLimit', limit);
    this.id = id;
    this.oob = oob;
  }
}

/**
 * The request in a parsed value.
 *
 * @param options.oob whether the session has enabled out-of-band execution; only then is `exec-oob` known.
 * @throws QmpRequestError for the first offence in QEMU's order. The transcripts `envelope` show it.
 */
export function parseRequest(value: JsonValue, { oob: oobEnabled }: { readonly oob: boolean }): QmpRequest {
  if (!isJsonObject(value)) throw new QmpRequestError('QMP input must be a JSON object', undefined, false);
  const id = value.get('id');
  const command = value.get('execute');
  const args = value.get('arguments');
  const known = (id === undefined ? 0 : 1) + (args === undefined ? 0 : 1) + 1;
  if (typeof command === 'string' && (args === undefined || isJsonObject(args)) && value.size === known) {
    return { command, arguments: args, oob: false, id };
  }
  return parseUnusual(value, id, oobEnabled);
}

/** A request out of band, or one with an offence. */
function parseUnusual(request: JsonObject, id: JsonValue | undefined, oobEnabled: boolean): QmpRequest {
  const oob = oobEnabled && request.has('exec-oob') && !request.has('execute');
  const offence = firstOffence(request, oobEnabled);
  if (offence !== undefined) throw new QmpRequestError(offence, id, oob);
  const command = request.get(oob ? 'exec-oob' : 'execute') as string;
  return { command, arguments: request.get('arguments') as JsonObject | undefined, oob, id };
}

/** QEMU goes through the members in the order of its hash table, which shows where there are two offences. */
function firstOffence(request: JsonObject, oobEnabled: boolean): string | undefined {
  for (const name of inQemuOrder(request.keys())) {
    const offence = memberOffence(name, request, oobEnabled);
    if (offence !== undefined) return offence;
  }
  const hasCommand = request.has('execute') || request.has('exec-oob');
  return hasCommand ? undefined : "QMP input lacks member 'execute'";
}

function memberOffence(name: string, request: JsonObject, oobEnabled: boolean): string | undefined {
  const value = request.get(name);
  if (name === 'id') return undefined;
  if (name === 'arguments') return isJsonObject(value) ? undefined : "QMP input member 'arguments' must be an object";
  if (name !== 'execute' && !(name === 'exec-oob' && oobEnabled)) return `QMP input member '${name}' is unexpected`;
  if (typeof value !== 'string') return `QMP input member '${name}' must be a string`;
  // exec-oob is always visited first, so the clash is always found here.
  if (name === 'execute' && request.has('exec-oob')) return "QMP input member 'execute' clashes with 'exec-oob'";
  return undefined;
}

/** A request to be sent; `oob` is only for a server that has it enabled. */
export interface OutgoingRequest {
  readonly command: string;
  readonly arguments?: JsonOutput | undefined;
  readonly oob?: boolean;
  readonly id?: JsonOutput | undefined;
}

/**
 * A request in as few bytes as it can have, since QEMU reads a byte per system call. Without a line end, which QMP does
 * not need: its last brace ends it.
 */
export function encodeRequest({ command, arguments: args, oob, id }: OutgoingRequest): string {
  const start = `${oob === true ? '{"exec-oob":' : '{"execute":'}${writeJson(command)}`;
  const given = args === undefined ? '{}' : writeJson(args, { dense: true });
  const text = given === '{}' ? start : `${start},"arguments":${given}`; // none and no members are the same
  return id === undefined ? `${text}}` : `${text},"id":${writeJson(id, { dense: true })}}`;
}
