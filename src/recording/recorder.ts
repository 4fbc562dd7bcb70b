// How does a conversation get into a file? A recorder is what a client shows its messages to.
import { closeSync, fstatSync, openSync, readlinkSync, writeSync, type BigIntStats } from 'node:fs';

import { getStatusFlags, O } from '../addon/index.ts';
import { writeJson, type JsonValue } from '../json/index.ts';
import { FORMAT_VERSION, type PassedFile } from './format.ts';

/** The observer of a client that keeps what it sees. */
export interface Recorder {
  sent(message: string, fds: readonly number[]): void;
  received(message: JsonValue): void;
  /**
   * Closes the file. May be called any number of times.
   * @throws what writing has failed with (ENOSPC): the recording is not whole
   */
  close(): void;
}

/**
 * Records to a file, which is replaced where it exists and which nobody else may read: commands may hold secrets.
 *
 * ```ts
 * const recorder = recordTo('session.jsonl');
 * const client = await QmpClient.connect('qmp.sock', { observer: recorder });
 * ```
 * @throws what opening the file fails with
 */
export function recordTo(path: string): Recorder {
  return new FileRecorder(openSync(path, 'w', 0o600));
}

class FileRecorder implements Recorder {
  #fd: number | undefined;
  #error: Error | undefined;
  readonly #start = process.hrtime.bigint();

  constructor(fd: number) {
    this.#fd = fd;
    this.#write(`{"fdset-recording":${FORMAT_VERSION},"started":"${new Date().toISOString()}"}`);
  }

  sent(message: string, fds: readonly number[]): void {
    const files = fds.length === 0 ? '' : `,"files":${writeJson(fds.map(describeFd), { dense: true })}`;
    this.#write(`{"at":${this.#now()},"from":"client","message":${message.trim()}${files}}`);
  }

  received(message: JsonValue): void {
    this.#write(`{"at":${this.#now()},"from":"server","message":${writeJson(message, { dense: true })}}`);
  }

  close(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    closeSync(fd);
    if (this.#error !== undefined) throw this.#error;
  }

  #now(): string {
    return (Number(process.hrtime.bigint() - this.#start) / 1e9).toFixed(6);
  }

  /** An observer must not throw: the connection is not to suffer. */
  #write(line: string): void {
    if (this.#fd === undefined || this.#error !== undefined) return;
    try {
      const bytes = Buffer.from(`${line}\n`);
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      this.#error = error as Error;
    }
  }
}

const modes = new Map([
  [O.O_RDONLY, 'r'],
  [O.O_WRONLY, 'w'],
  [O.O_RDWR, 'rw'],
] as const);

function describeFd(fd: number): { [K in keyof PassedFile]: PassedFile[K] } {
  const stat = fstatSync(fd, { bigint: true });
  const flags = getStatusFlags(fd);
  return {
    path: readlinkSync(`/proc/self/fd/${fd}`),
    mode: modes.get(flags & (O.O_WRONLY | O.O_RDWR)) ?? 'r',
    direct: (flags & O.O_DIRECT) !== 0,
    type: typeOf(stat),
    device: stat.dev,
    inode: stat.ino,
    size: stat.isFile() ? stat.size : undefined,
  };
}

function typeOf(stat: BigIntStats): PassedFile['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isBlockDevice()) return 'block';
  if (stat.isCharacterDevice()) return 'char';
  if (stat.isDirectory()) return 'folder';
  if (stat.isFIFO()) return 'fifo';
  return stat.isSocket() ? 'socket' : 'other';
}
