// What have clients sent? Each message with the file that came with it, and which reply belongs to it.
import { fstatSync } from 'node:fs';

import { getStatusFlags, O } from '../addon/index.ts';
import { isJsonObject, JsonParseError, type JsonValue, writeJson } from '../json/index.ts';
import { type PlainJson, toPlain } from './plain-json.ts';
import type { Fault } from './fault.ts';

/** A file as a client has passed it: compare with what fs.statSync says of it. */
export interface PassedFile {
  readonly dev: number;
  readonly ino: number;
  /** What it was opened for. */
  readonly mode: 'r' | 'w' | 'rw';
}

/** A message of a client. */
export interface ReceivedCommand {
  /** Empty where the message is no request. */
  readonly command: string;
  /** Integers above 2^53 are bigint. */
  readonly arguments: PlainJson | undefined;
  readonly id: PlainJson | undefined;
  /** Whether it came as `exec-oob`. */
  readonly outOfBand: boolean;
  /** The file that the command took: the one that came with it. */
  readonly file: PassedFile | undefined;
  /** The connection it came on, counted from 1. */
  readonly connection: number;
  /** What is wrong with a message that is no JSON. */
  readonly problem: string | undefined;
}

/** An entry that is still filled in. */
export interface LogEntry extends ReceivedCommand {
  file: PassedFile | undefined;
  /** Offset in the stream behind its last byte. */
  readonly end: number;
  /** What is to happen to its reply, or to its file. */
  readonly faults: readonly Fault[];
}

/** The entry of a message as read. `faultsFor` gives away what was ordered for a command. */
export function logEntry(
  value: JsonValue | JsonParseError,
  end: number,
  connection: number,
  faultsFor: (command: string) => readonly Fault[],
): LogEntry {
  const none = { arguments: undefined, id: undefined, outOfBand: false, file: undefined, connection, end };
  if (value instanceof JsonParseError) return { ...none, command: '', problem: value.message, faults: [] };
  const request: ReadonlyMap<string, JsonValue> = isJsonObject(value) ? value : new Map();
  const name = request.get('execute') ?? request.get('exec-oob');
  const command = typeof name === 'string' ? name : '';
  return {
    ...none,
    command,
    arguments: plainMember(request, 'arguments'),
    id: plainMember(request, 'id'),
    outOfBand: request.has('exec-oob'),
    problem: undefined,
    faults: faultsFor(command),
  };
}

function plainMember(request: ReadonlyMap<string, JsonValue>, name: string): PlainJson | undefined {
  const value = request.get(name);
  return value === undefined ? undefined : toPlain(value);
}

/** Takes the entry that a reply with this id answers out of those that are unanswered: the oldest with the id. */
export function takeAnswered(unanswered: LogEntry[], id: PlainJson | undefined): LogEntry | undefined {
  const wanted = id === undefined ? undefined : writeJson(id);
  const place = unanswered.findIndex((entry) => (entry.id === undefined ? undefined : writeJson(entry.id)) === wanted);
  return place < 0 ? undefined : unanswered.splice(place, 1)[0];
}

/** What a test can know a file by. */
export function describeFile(fd: number): PassedFile {
  const { dev, ino } = fstatSync(fd);
  const access = getStatusFlags(fd) & O.O_ACCMODE;
  return { dev, ino, mode: access === O.O_RDONLY ? 'r' : access === O.O_WRONLY ? 'w' : 'rw' };
}
