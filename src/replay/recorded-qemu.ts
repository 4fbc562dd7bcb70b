// How does a recording become a server? It listens on a socket, greets as recorded, and answers each command with what was
// answered when it was recorded with the same arguments: the first such answer that is left, and the events behind it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { OwnedFd } from '../fds/index.ts';
import {
  isJsonObject,
  JsonParseError,
  JsonStreamer,
  type JsonObject,
  type JsonValue,
  writeJson,
} from '../json/index.ts';
import { readRecording, type RecordedMessage } from '../recording/index.ts';
import { type Channel, listenUnix, type Listener, openChannel } from '../socket/index.ts';

export interface ServeRecordingOptions {
  /** The socket. Default: one in a folder of its own, which is removed with it. */
  readonly path?: string;
}

/** A command of a recording with what the server said to it. */
interface Exchange {
  /** The command without its id. */
  readonly key: string;
  readonly id: string;
  readonly hasFile: boolean;
  /** The reply, and the events up to the next command. */
  readonly answers: JsonObject[];
}

/**
 * Serves a recording as a fake QEMU: every client that connects meets it from its beginning. `path` is the socket to
 * connect to; `unexpected` says what clients have sent that was not recorded, which is answered with a GenericError.
 *
 * @throws FdsetError `ERR_FDSET_RECORDING`: it cannot be read; SystemError: the socket cannot be made
 */
export function serveRecording(file: string, options: ServeRecordingOptions = {}): RecordedQemu {
  return new RecordedQemu(readRecording(file).messages, options);
}

/** A server made of a recording, by {@link serveRecording}. */
export class RecordedQemu {
  readonly path: string;
  readonly #messages: readonly RecordedMessage[];
  readonly #listener: Listener;
  readonly #channels = new Set<Channel>();
  readonly #folder: string | undefined;
  readonly #unexpected: string[] = [];

  constructor(messages: readonly RecordedMessage[], { path }: ServeRecordingOptions) {
    this.#messages = messages;
    this.#folder = path === undefined ? mkdtempSync(join(tmpdir(), 'fdset-recording-')) : undefined;
    this.path = path ?? join(this.#folder!, 'qmp.sock');
    this.#listener = listenUnix(this.path);
    this.#listener.onConnection = (fd) => this.#serve(fd);
  }

  /** What clients have sent that was not recorded, or with other fds. */
  get unexpected(): readonly string[] {
    return this.#unexpected;
  }

  /** Closes every connection and the socket. May be called any number of times. */
  close(): void {
    this.#listener.close();
    for (const channel of this.#channels) channel.destroy();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #serve(fd: OwnedFd): void {
    const { opening, exchanges } = exchangesOf(this.#messages);
    const streamer = new JsonStreamer((value, end) => this.#answer(channel, exchanges, value, end));
    const channel = openChannel(fd, {
      data: (_, bytes) => streamer.push(bytes),
      end: (self) => self.destroy(),
      close: (self) => this.#channels.delete(self),
    });
    this.#channels.add(channel);
    for (const message of opening) send(channel, message);
  }

  #answer(channel: Channel, exchanges: Exchange[], value: JsonValue | JsonParseError, end: number): void {
    const hasFile = takeFile(channel, end);
    if (value instanceof JsonParseError || !isJsonObject(value)) {
      this.#unexpected.push('bytes that are no command');
      return channel.destroy();
    }
    const key = keyOf(value);
    const index = exchanges.findIndex((exchange) => exchange.key === key);
    const [exchange] = index < 0 ? [] : exchanges.splice(index, 1);
    if (exchange === undefined) {
      this.#unexpected.push(key);
      const desc = 'this command was not recorded with these arguments, or not so often';
      return send(
        channel,
        withId(
          new Map([
            [
              'error',
              new Map([
                ['class', 'GenericError'],
                ['desc', desc],
              ]),
            ],
          ]),
          value,
        ),
      );
    }
    if (exchange.hasFile !== hasFile) this.#unexpected.push(`${key} with${hasFile ? '' : 'out'} a file`);
    for (const answer of exchange.answers) send(channel, answer.has('event') ? answer : withId(answer, value));
  }
}

/** What a server says by itself, and then to each command. */
function exchangesOf(messages: readonly RecordedMessage[]): { opening: JsonObject[]; exchanges: Exchange[] } {
  const opening: JsonObject[] = [];
  const exchanges: Exchange[] = [];
  for (const { from, message, files } of messages) {
    if (from === 'client') {
      exchanges.push({ key: keyOf(message), id: idOf(message), hasFile: files.length > 0, answers: [] });
    } else {
      const isReply = message.has('return') || message.has('error');
      const asked = isReply ? exchanges.find(({ id }) => id === idOf(message)) : exchanges.at(-1);
      (asked?.answers ?? opening).push(message);
    }
  }
  return { opening, exchanges };
}

/** Whether a file came with a command that ends at `end`. Nobody wants it here. */
function takeFile(channel: Channel, end: number): boolean {
  const fd = channel.takeFd(end);
  fd?.close();
  return fd !== null;
}

/** A command as text, without its id. */
function keyOf(command: JsonObject): string {
  const parts = [...command].filter(([name]) => name !== 'id');
  return writeJson(new Map(parts));
}

function idOf(message: JsonObject): string {
  return writeJson(message.get('id') ?? null);
}

function withId(answer: JsonObject, command: JsonObject): JsonObject {
  const reply = new Map([...answer].filter(([name]) => name !== 'id'));
  const id = command.get('id');
  return id === undefined ? reply : reply.set('id', id);
}

function send(channel: Channel, message: JsonObject): void {
  channel.write(`${writeJson(message)}\r\n`);
}
