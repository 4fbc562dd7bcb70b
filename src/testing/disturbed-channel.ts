// What lies between a client and the monitor of a test? A channel that writes down what comes in, and does to replies and
// fds what was ordered.
import type { CharChannel } from '../chardev/index.ts';
import type { OwnedFd } from '../fds/index.ts';
import { isJsonObject, type JsonObject, JsonStreamer, parseJson } from '../json/index.ts';
import { encodeError, encodeReturn } from '../qmp/index.ts';
import type { ChannelHandlers, PeerCredentials } from '../socket/index.ts';
import { describeFile, logEntry, type LogEntry, takeAnswered } from './client-log.ts';
import type { Fault } from './fault.ts';
import { toPlain } from './plain-json.ts';

/** What the channel tells the test's server, and asks of it. */
export interface ChannelScript {
  /** The connection's number. */
  readonly connection: number;
  /** Gives away what was ordered for a command. */
  readonly faultsFor: (command: string) => readonly Fault[];
  readonly onReceived: (entry: LogEntry) => void;
}

const unknownId = 'fdset-testing-unknown';

/** A channel as the monitor sees it. What it corks it sends all the same: so a reply can be cut at any byte. */
export class DisturbedChannel implements CharChannel {
  readonly #channel: CharChannel;
  readonly #streamer: JsonStreamer;
  /** Messages that no reply was seen to, oldest first. */
  readonly #unanswered: LogEntry[] = [];
  /** Messages of which the fd was not asked for, by their end. */
  readonly #byEnd = new Map<number, LogEntry>();
  /** A reply was cut: what is queued is sent, and nothing else. */
  #cut = false;

  constructor(open: (handlers: ChannelHandlers) => CharChannel, handlers: ChannelHandlers, script: ChannelScript) {
    this.#streamer = new JsonStreamer((value, end) => {
      const entry = logEntry(value, end, script.connection, script.faultsFor);
      this.#unanswered.push(entry);
      this.#byEnd.set(end, entry);
      script.onReceived(entry);
    });
    this.#channel = open({
      ...handlers,
      data: (channel, bytes) => {
        this.#streamer.push(bytes);
        handlers.data?.(channel, bytes);
      },
      drain: (channel) => (this.#cut ? channel.destroy() : handlers.drain?.(channel)),
    });
  }

  get bytesReceived(): number {
    return this.#channel.bytesReceived;
  }

  get bufferedBytes(): number {
    return this.#channel.bufferedBytes;
  }

  get destroyed(): boolean {
    return this.#channel.destroyed;
  }

  write(data: string | Uint8Array): boolean {
    if (this.#cut) return true;
    const message = parseJson(data);
    const isReply = isJsonObject(message) && (message.has('return') || message.has('error'));
    return isReply ? this.#reply(String(data), message) : this.#channel.write(data);
  }

  cork(): void {}

  uncork(): void {}

  takeFd(before: number): OwnedFd | null {
    const fd = this.#channel.takeFd(before);
    const entry = this.#byEnd.get(before);
    if (fd === null || entry === undefined) return fd;
    entry.file = describeFile(fd.fd);
    if (!entry.faults.some(({ kind }) => kind === 'lose-fd')) return fd;
    fd.close();
    return null;
  }

  settleFds(before: number): void {
    this.#channel.settleFds(before);
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  destroy(error?: Error): void {
    this.#channel.destroy(error);
  }

  peerCred(): PeerCredentials | undefined {
    return this.#channel.peerCred();
  }

  #reply(text: string, message: JsonObject): boolean {
    const id = message.get('id');
    const entry = takeAnswered(this.#unanswered, id === undefined ? undefined : toPlain(id));
    if (entry === undefined) return this.#channel.write(text);
    this.#byEnd.delete(entry.end);
    let sent = text;
    let cutAt: number | undefined;
    for (const fault of entry.faults) {
      if (fault.kind === 'unknown-id') sent = withId(message, unknownId);
      if (fault.kind === 'answer-twice') sent += sent;
      if (fault.kind === 'instead') sent = fault.text;
      if (fault.kind === 'drop') cutAt = fault.afterBytes;
    }
    return cutAt === undefined ? this.#channel.write(Buffer.from(sent)) : this.#cutOff(Buffer.from(sent), cutAt);
  }

  #cutOff(bytes: Uint8Array, at: number): boolean {
    this.#cut = true;
    const allSent = this.#channel.write(bytes.subarray(0, at));
    // Not within the call: whoever writes has more to do with the channel.
    if (allSent) setImmediate(() => this.#channel.destroy());
    return true;
  }
}

/** The same reply with another id. */
function withId(message: JsonObject, id: string): string {
  const error = message.get('error');
  if (!isJsonObject(error)) return encodeReturn(message.get('return'), id);
  return encodeError(error.get('class') as 'GenericError', error.get('desc') as string, id);
}
