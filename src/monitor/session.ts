// What happens on one connection to a monitor, from the greeting to the end? Rules: qmp.md sections 1, 2 and 7.
//
//  phase    | on                           | does                                              | goes to
//  ---------|------------------------------|---------------------------------------------------|---------
//  open     | message read                 | runs it, or queues it if it may not run now       | open
//           | the peer's end of stream     | what waits still runs                             | ending
//           | close() of the program       | drops what waits                                  | ending
//  ending   | nothing waits, nothing runs  | lets the replies leave, then closes               | ending
//  any      | the channel has closed       | drops what waits; the reply of a running command  | closed
//
// Beside the phase there is QMP's mode: `negotiated` turns true with a successful qmp_capabilities and stays so.
//
// Reading pauses while the session is stalled (the client leaves its replies unread), while as many requests wait as the
// queue admits (one; eight with OOB), and without OOB while a command of this session runs.
import { channel as diagnosticsChannel } from 'node:diagnostics_channel';
import type { CharChannel, OpenChannel } from '../chardev/index.ts';
import { FdsetError } from '../errors.ts';
import type { FdOrigin, NamedFds, OwnedFd } from '../fds/index.ts';
import { JsonParseError, JsonStreamer, type JsonValue, type WriteJsonOptions } from '../json/index.ts';
import { encodeError, encodeReturn, greeting, parseRequest, QmpRequestError, type QmpVersion } from '../qmp/index.ts';
import type { PeerCredentials } from '../socket/index.ts';
import { type Dispatcher, dispatch, type InLine } from './dispatch.ts';
import type { EventSink } from './events.ts';
import { OOB_QUEUE_LENGTH, RequestQueue } from './oob.ts';
import { originOf } from './origin.ts';
import type { CommandContext, CommandOutcome, CommandRegistry, QmpCapability } from './registry.ts';

/** Replies that a client may leave unread before it is no longer read itself, in bytes. QEMU has no such limit. */
export const DEFAULT_MAX_UNREAD_REPLIES = 64 * 1024 * 1024;

/** How long the reply to `quit` may take to leave before the program quits all the same, in milliseconds. */
const LAST_REPLY_TIMEOUT = 1000;

/** A handler has thrown something that is not a FdsetError: a bug of ours, or of the program that registered it. */
const internalErrors = diagnosticsChannel('fdset:monitor:internal-error');

/** What a session needs of its monitor. */
export interface SessionOptions {
  readonly monitorId: string;
  readonly namedFds: NamedFds;
  readonly registry: CommandRegistry;
  readonly dispatcher: Dispatcher;
  readonly version: QmpVersion;
  /** What the greeting offers. */
  readonly capabilities: readonly QmpCapability[];
  readonly pretty: boolean;
  readonly maxUnreadReplies: number;
  /** The session may get events from now on. */
  readonly onNegotiated: (session: Session) => void;
  /** The session wants events of a topic, or no more. */
  readonly onEventsRequested: (session: Session, topic: string, on: boolean) => void;
  /** The client has gone and all that it asked for is done: told once, before the client can see its connection close. */
  readonly onLeft: () => void;
  readonly onClosed: (session: Session) => void;
}

/** One connection to a monitor. It owns its channel. */
export class Session implements CommandContext, InLine, EventSink {
  readonly monitorId: string;
  readonly namedFds: NamedFds;
  readonly peer: PeerCredentials | undefined;
  readonly pretty: boolean;
  readonly #format: WriteJsonOptions;
  readonly #options: SessionOptions;
  readonly #channel: CharChannel;
  readonly #streamer = new JsonStreamer((value, end) => this.#read(value, end));
  readonly #queue = new RequestQueue();
  #phase: 'open' | 'ending' | 'closed' = 'open';
  #origin: FdOrigin | undefined;
  #negotiated = false;
  #oob = false;
  /** An asynchronous in-band command of this session is not done yet. */
  #running = false;
  /** More replies are unread than the client may leave. */
  #stalled = false;
  #paused = false;
  #left = false;
  /** Where the in-band command that runs ends: fds behind are not its own. */
  #commandEnd = 0;
  /** What waits for the last reply, the one to `quit`, to leave. */
  #afterLastReply: (() => void) | undefined;
  #lastReplyTimer: NodeJS.Timeout | undefined;

  /** @param open makes the channel over the connection, with the handlers given */
  constructor(options: SessionOptions, open: OpenChannel) {
    this.monitorId = options.monitorId;
    this.namedFds = options.namedFds;
    this.pretty = options.pretty;
    this.#format = { pretty: options.pretty };
    this.#options = options;
    this.#channel = open({
      data: (_, bytes) => this.#data(bytes),
      end: () => this.#end(),
      drain: () => this.#drained(),
      close: () => this.#closed(),
    });
    this.peer = this.#channel.peerCred();
    this.#channel.write(greeting(options.version, options.capabilities, this.#format));
  }

  get origin(): FdOrigin {
    this.#origin ??= originOf(this.monitorId, this.peer);
    return this.#origin;
  }

  takeFd(): OwnedFd | null {
    return this.#takeFd(this.#commandEnd);
  }

  negotiate(capabilities: readonly QmpCapability[]): void {
    if (this.#negotiated) {
      const message = 'Capabilities negotiation is already complete, command ignored';
      throw new FdsetError('ERR_FDSET_COMMAND_NOT_FOUND', message, { errorClass: 'CommandNotFound' });
    }
    this.#negotiated = true;
    this.#oob = capabilities.includes('oob');
    this.#options.onNegotiated(this);
  }

  shutDown(then: () => void): void {
    this.#options.dispatcher.stop();
    this.#afterLastReply = then;
  }

  requestEvents(topic: string, on: boolean): void {
    this.#options.onEventsRequested(this, topic, on);
  }

  /** Sends an event. A client that reads nothing at all loses its connection rather than some of its events. */
  sendEvent(text: string): void {
    if (this.#phase === 'closed') return;
    this.#channel.write(text);
    const limit = 2 * this.#options.maxUnreadReplies;
    if (this.#channel.bufferedBytes > limit) {
      const message = `the client of monitor '${this.monitorId}' has left ${limit} bytes unread: closing`;
      this.#channel.destroy(new FdsetError('ERR_FDSET_UNREAD', message));
    }
  }

  /** Drops what waits, lets the replies that were made leave, then closes. */
  close(): void {
    this.#queue.clear();
    this.#options.dispatcher.leave(this);
    this.#end();
  }

  /** Closes at once. */
  destroy(): void {
    this.#channel.destroy();
  }

  /** Starts the next request in order. */
  takeTurn(): boolean {
    if (this.#channel.destroyed) this.#queue.clear();
    const next = this.#queue.shift();
    if (next === undefined) return false;
    this.#execute(next.value, next.end);
    this.#overtake();
    this.#settle();
    return this.#queue.length > 0 && !this.#stalled;
  }

  // -- what the channel reports

  #data(bytes: Uint8Array): void {
    const channel = this.#channel;
    channel.cork();
    this.#streamer.push(bytes);
    channel.uncork();
    this.#settle();
  }

  #read(value: JsonValue | JsonParseError, end: number): void {
    // What stands behind the command that has ended the connection, in the same read, does not run.
    if (this.#phase !== 'open' || this.#channel.destroyed) return;
    if (this.#queue.length === 0 && this.#options.dispatcher.free && !this.#stalled) {
      this.#execute(value, end);
      return;
    }
    this.#queue.push({ value, end });
    this.#overtake();
    if (!this.#stalled) this.#options.dispatcher.join(this);
  }

  #end(): void {
    if (this.#phase === 'open') this.#phase = 'ending';
    this.#settle();
  }

  #drained(): void {
    if (this.#stalled) {
      this.#stalled = false;
      if (this.#queue.length > 0) this.#options.dispatcher.join(this);
    }
    this.#settle();
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#options.onLeft();
  }

  #closed(): void {
    this.#phase = 'closed';
    this.#leave();
    this.#queue.clear();
    this.#options.dispatcher.leave(this);
    this.#settle();
    this.#options.onClosed(this);
  }

  // -- running requests

  /** Runs what may overtake, once OOB is enabled. */
  #overtake(): void {
    if (!this.#oob) return;
    for (;;) {
      const message = this.#queue.takeOutOfBand();
      if (message === undefined) return;
      this.#executeOutOfBand(message.value, message.end);
    }
  }

  #execute(value: JsonValue | JsonParseError, end: number): void {
    this.#commandEnd = end;
    const outcome = this.#start(value, this);
    if (outcome === undefined) return;
    this.#running = true;
    this.#options.dispatcher.hold();
    void outcome.finally(() => {
      this.#running = false;
      this.#options.dispatcher.release();
      this.#settle();
    });
  }

  #executeOutOfBand(value: JsonValue | JsonParseError, end: number): void {
    const context: CommandContext = {
      monitorId: this.monitorId,
      namedFds: this.namedFds,
      peer: this.peer,
      origin: this.origin,
      takeFd: () => this.#takeFd(end),
      negotiate: (capabilities) => this.negotiate(capabilities),
      shutDown: (then) => this.shutDown(then),
      requestEvents: (topic, on) => this.requestEvents(topic, on),
    };
    void this.#start(value, context);
  }

  /** Answers a request, now or when the promise it returns is fulfilled. It never throws, nor does the promise. */
  #start(value: JsonValue | JsonParseError, context: CommandContext): Promise<void> | undefined {
    let id: JsonValue | undefined;
    let name = '';
    try {
      if (value instanceof JsonParseError) throw value;
      const request = parseRequest(value, { oob: this.#oob });
      id = request.id;
      name = request.command;
      const outcome = dispatch(this.#options.registry, request, this.#negotiated, context);
      if (outcome instanceof Promise) {
        return outcome.then(
          (result) => this.#return(result, id, name),
          (error: unknown) => this.#fail(error, id, name),
        );
      }
      this.#return(outcome, id, name);
    } catch (error) {
      this.#fail(error, id, name);
    }
    return undefined;
  }

  #return(outcome: CommandOutcome, id: JsonValue | undefined, name: string): void {
    let reply: string;
    try {
      reply = encodeReturn(outcome ?? undefined, id, this.#format);
    } catch (error) {
      return this.#fail(error, id, name);
    }
    this.#write(reply);
  }

  #fail(error: unknown, id: JsonValue | undefined, command: string): void {
    if (error instanceof FdsetError) {
      const echoed = error instanceof QmpRequestError ? error.id : id;
      this.#write(encodeError(error.errorClass, error.message, echoed, this.#format));
      return;
    }
    const text = `The command ${command} has failed because of a bug: ${String(error)}`;
    this.#write(encodeError('GenericError', text, id, this.#format));
    if (internalErrors.hasSubscribers) internalErrors.publish({ command, error });
    else process.emitWarning(`${text}\n${(error as Error).stack ?? ''}`, 'FdsetInternalError');
  }

  #write(reply: string): void {
    if (this.#phase === 'closed') return;
    const kept = this.#channel.write(reply);
    if (!kept && this.#channel.bufferedBytes > this.#options.maxUnreadReplies) this.#stalled = true;
  }

  #takeFd(before: number): OwnedFd | null {
    return this.#phase === 'closed' ? null : this.#channel.takeFd(before);
  }

  // -- after each step

  /** Brings the channel in line with the state: what it may read, which fds it keeps, whether it ends. */
  #settle(): void {
    if (this.#afterLastReply !== undefined && !this.#running) this.#awaitLastReply();
    if (this.#phase === 'closed') return;
    const idle = this.#queue.length === 0 && !this.#running;
    // Each fd message replaces the one before it, unless a command that waits is still to take it.
    if (idle) this.#channel.settleFds(this.#channel.bytesReceived);
    if (this.#phase === 'ending') {
      if (idle && this.#channel.bufferedBytes === 0) {
        this.#leave();
        this.#channel.destroy();
      }
      return;
    }
    const admitted = this.#oob ? OOB_QUEUE_LENGTH : 1;
    const pause = this.#stalled || this.#queue.length >= admitted || (this.#running && !this.#oob);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#channel.pause();
    else this.#channel.resume();
  }

  #awaitLastReply(): void {
    if (this.#phase === 'closed' || this.#channel.bufferedBytes === 0) this.#lastReplyLeft();
    else this.#lastReplyTimer ??= setTimeout(() => this.#lastReplyLeft(), LAST_REPLY_TIMEOUT);
  }

  #lastReplyLeft(): void {
    clearTimeout(this.#lastReplyTimer);
    const then = this.#afterLastReply;
    this.#afterLastReply = undefined;
    then?.();
  }
}
