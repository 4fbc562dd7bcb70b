// A QMP client that knows nothing: bytes and fds out, messages in as they came. For tests of literal bytes.
import assert from 'node:assert/strict';
import { OwnedFd } from '../src/fds/index.ts';
import { type Channel, connectUnix, openChannel } from '../src/socket/index.ts';

const TIMEOUT = 5_000;

/** A message as it came, line end included, and as parsed. */
export interface Message {
  readonly text: string;
  readonly value: unknown;
}

export class QmpConnection {
  readonly #channel: Channel;
  /** What has come since the last look at the messages. */
  #received = '';
  #messages: Message[] = [];
  #eof = false;
  #wake: () => void = () => undefined;

  private constructor(fd: OwnedFd) {
    this.#channel = openChannel(fd, {
      data: (_, bytes) => {
        this.#received += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
        this.#wake();
      },
      end: () => this.#ended(),
      close: () => this.#ended(),
    });
  }

  static async open(path: string): Promise<QmpConnection> {
    return new QmpConnection(await connectUnix(path, { timeoutMs: TIMEOUT }));
  }

  /** Over a socket that is connected already, which it owns from now on. */
  static over(fd: OwnedFd): QmpConnection {
    return new QmpConnection(fd);
  }

  #ended(): void {
    this.#eof = true;
    this.#wake();
  }

  /** Whether the server has closed. */
  get eof(): boolean {
    return this.#eof;
  }

  /** Writes bytes, the fds with the first of them. The fds stay the caller's. */
  send(bytes: Uint8Array | string, fds: readonly number[] = []): void {
    this.#channel.write(bytes, fds);
  }

  /** Bytes written that the server has not taken. */
  get unsentBytes(): number {
    return this.#channel.bufferedBytes;
  }

  /** What has come of a message that is not complete. */
  get unfinished(): string {
    return this.messages && this.#received;
  }

  /** Stops reading. */
  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  /** Ends the sending direction. */
  shutdown(): void {
    this.#channel.end();
  }

  close(): void {
    this.#channel.destroy();
  }

  /** The complete messages that have come. */
  get messages(): readonly Message[] {
    const { messages, rest } = splitMessages(this.#received);
    this.#received = rest;
    for (const message of messages) this.#messages.push(message);
    return this.#messages;
  }

  /** The next `count` messages, as text. Fails when they do not come. */
  async read(count: number): Promise<string> {
    await this.waitFor(() => this.messages.length >= count, TIMEOUT);
    const messages = this.take();
    const text = messages.map((message) => message.text).join('');
    assert.equal(messages.length, count, `${count} messages expected, ${messages.length} came: ${text.slice(0, 2000)}`);
    return text;
  }

  /** Waits for the end of the stream. */
  async readEnd(): Promise<void> {
    await this.waitFor(() => false, TIMEOUT);
    assert.equal(this.#eof, true, 'the server has not closed the connection');
  }

  /** Takes the complete messages away. */
  take(): readonly Message[] {
    const { messages } = this;
    this.#messages = [];
    return messages;
  }

  /** Waits until `done` or the end of the stream, but not longer than `timeout` milliseconds. */
  async waitFor(done: () => boolean, timeout: number): Promise<void> {
    const deadline = Date.now() + timeout;
    while (!done() && !this.#eof && Date.now() < deadline) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, deadline - Date.now());
      });
      clearTimeout(timer);
    }
  }
}

/** Cuts a byte stream (as Latin-1 text) into messages; `rest` is the unfinished end. */
function splitMessages(stream: string): { messages: Message[]; rest: string } {
  const messages: Message[] = [];
  let start = 0;
  for (;;) {
    const end = endOfValue(stream, start);
    if (end === undefined || stream.length < end + 2) return { messages, rest: stream.slice(start) };
    const text = stream.slice(start, end + 2);
    if (!text.endsWith('\r\n')) throw new Error(`a message that does not end in CR LF: ${JSON.stringify(text)}`);
    messages.push({ text, value: parse(text) });
    start = end + 2;
  }
}

/** Where the object that begins at `start` ends. */
function endOfValue(stream: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < stream.length; at++) {
    const character = stream[at];
    if (character === '"') {
      for (at++; at < stream.length && stream[at] !== '"'; at++) if (stream[at] === '\\') at++;
    } else if (character === '{' || character === '[') {
      depth++;
    } else if (character === '}' || character === ']') {
      if (--depth === 0) return at + 1;
    }
  }
  return undefined;
}

/** QEMU prints an overflowed number as inf, which is not JSON. */
function parse(text: string): unknown {
  return JSON.parse(text.replaceAll(/(?<=: )(-?inf)\b/g, '"<$1>"'));
}
