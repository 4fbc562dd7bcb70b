// What happens on one connection to a QMP server?
//
//  state       | on                       | goes to
//  ------------|--------------------------|-------------------------------------------------------------------
//  greeting    | greeting                 | negotiating: whoever awaits the greeting has it
//              | anything else            | closed
//  negotiating | qmp_capabilities returns | ready
//  ready       | return, error            | ready: the call with that id is settled
//              | event                    | ready: handed on
//  any         | a reply nobody waits for, what is no QMP, the end of the stream, destroy()
//              |                          | closed: every call is rejected with the cause
//
// What is sent in one turn of the event loop leaves together; a command with fds leaves at once, in one sendmsg.
import type { FdsetError } from '../errors.ts';
import { type JsonLimits, JsonParseError, JsonStreamer, type JsonOutput, type JsonValue } from '../json/index.ts';
import { encodeRequest, parseResponse, type QmpMessage, type QmpVersion } from '../qmp/index.ts';
import type { PeerCredentials } from '../socket/index.ts';
import { closedError, noFdsError, protocolError, timeoutError, unsupportedError } from './client-error.ts';
import { Outbox } from './outbox.ts';
import { Call, NumberedCalls, OrderedCalls, type PendingCalls } from './pending.ts';
import { type QmpValue, toPlain } from './plain.ts';
import { QmpError } from './qmp-error.ts';
import { startTimer } from './timer.ts';
import type { StartTransport, Transport } from './transport.ts';

/** What a call may be told besides its command and arguments. */
export interface ExecuteOptions {
  /** Sent with the command's first byte. They stay the caller's, who may close them once `execute` has returned. */
  readonly fds?: readonly number[];
  /** Gives the call up: it rejects with the signal's reason. The command may still be carried out. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the call rejects; the command may still be carried out. Default: no limit. */
  readonly timeoutMs?: number;
  /** Runs the command out of band, ahead of those that wait; the client must have been made with `oob`. */
  readonly oob?: boolean;
}

/** Sees everything that goes over a connection, before anything else does. It must not throw. */
export interface QmpObserver {
  /** A command leaves: its text as on the wire. The fds are lent for the call. */
  sent?(message: string, fds: readonly number[]): void;
  /** A message of the server has come; objects are Maps, in the order sent. */
  received?(message: JsonValue): void;
}

/** What a server says of itself when one connects. */
export interface Greeting {
  readonly version: QmpVersion;
  readonly capabilities: readonly string[];
}

type EventMessage = Extract<QmpMessage, { kind: 'event' }>;

export interface SessionOptions {
  readonly limits: JsonLimits;
  readonly bigint: boolean;
  readonly oob: boolean;
  /** Whether every command has an id of its own. */
  readonly numbered: boolean;
  readonly observer: QmpObserver | undefined;
  /** An event has come. */
  readonly onEvent: (event: EventMessage) => void;
  /** The session is closed from now on; called once. */
  readonly onClosed: (session: Session, error: FdsetError) => void;
}

/** A server that has not greeted within so many bytes does not speak QMP. */
const LONGEST_GREETING = 1024 * 1024;

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #streamer: JsonStreamer;
  readonly #calls: PendingCalls;
  readonly #outbox: Outbox;
  /** Fulfilled when the connection is closed and nothing is left of it. */
  readonly gone: Promise<void>;
  #state: 'greeting' | 'negotiating' | 'ready' | 'closed' = 'greeting';
  #greeting: Greeting | undefined;
  #greeted: Waiting<Greeting> | undefined;
  #received = 0;
  #out = '';
  #error: FdsetError | undefined;
  #drained: (() => void) | undefined;

  constructor(start: StartTransport, options: SessionOptions) {
    this.#options = options;
    this.#calls = options.numbered ? new NumberedCalls() : new OrderedCalls();
    this.#streamer = new JsonStreamer((value) => this.#take(value), options.limits);
    this.#outbox = new Outbox(options.oob, (call, text, fds) => this.#send(call, text, fds));
    let left: () => void;
    this.gone = new Promise((resolve) => (left = resolve));
    this.#transport = start({
      data: (bytes) => this.#data(bytes),
      end: () => this.destroy(closedError('the QMP server has closed the connection')),
      close: (error) => {
        this.destroy(closedError(`the QMP connection is lost${error ? `: ${error.message}` : ''}`, error));
        left();
      },
    });
  }

  /** Why fds cannot go over this connection; undefined where they can. */
  get noFds(): string | undefined {
    return this.#transport.noFds;
  }

  get peer(): PeerCredentials | undefined {
    return this.#transport.peer;
  }

  /** Why the session is closed; undefined while it is not. */
  get error(): FdsetError | undefined {
    return this.#error;
  }

  /** @throws FdsetError `ERR_FDSET_QMP_PROTOCOL`, `ERR_FDSET_QMP_CLOSED`, or what the session was destroyed with */
  greeting(): Promise<Greeting> {
    return new Promise((resolve, reject) => {
      if (this.#greeting !== undefined) resolve(this.#greeting);
      else if (this.#error !== undefined) reject(this.#error);
      else this.#greeted = { resolve, reject };
    });
  }

  /**
   * Enters command mode.
   * @throws FdsetError `ERR_FDSET_QMP_UNSUPPORTED`: the server has no out-of-band execution
   */
  async negotiate({ capabilities }: Greeting): Promise<void> {
    const { oob } = this.#options;
    if (oob && !capabilities.includes('oob')) {
      throw unsupportedError('the QMP server does not offer out-of-band execution');
    }
    await this.execute('qmp_capabilities', oob ? { enable: ['oob'] } : undefined, {});
    this.#state = 'ready';
  }

  /** Runs a command; see QmpClient.execute. */
  execute(command: string, args: JsonOutput | undefined, options: ExecuteOptions): Promise<QmpValue> {
    return new Promise((resolve, reject) => {
      const fds = options.fds?.length ? options.fds : undefined;
      const call = new Call(command, options.oob === true, fds !== undefined, resolve, reject);
      try {
        this.#check(call, options);
        const text = encodeRequest({ command, arguments: args, oob: call.oob });
        this.#outbox.post(call, text, fds);
        if (options.timeoutMs !== undefined || options.signal !== undefined) this.#limit(call, options);
      } catch (error) {
        call.reject(error);
      }
    });
  }

  #check(call: Call, options: ExecuteOptions): void {
    if (this.#error !== undefined) throw this.#lost(call, this.#error);
    options.signal?.throwIfAborted();
    if (call.oob && !this.#options.oob) {
      throw unsupportedError(`${call.command}: out-of-band execution was not enabled: connect with the option oob`);
    }
    if (!call.carriesFds) return;
    if (call.oob) throw noFdsError(`${call.command}: files cannot go with an out-of-band command`);
    if (this.noFds !== undefined) throw noFdsError(`${call.command}: files cannot be passed because ${this.noFds}`);
  }

  /** Has the call rejected when its time is over or its signal says so. */
  #limit(call: Call, { timeoutMs, signal }: ExecuteOptions): void {
    const giveUp = (error: unknown): void => {
      call.reject(error);
      this.#checkDrained();
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const onTimeout = (): void => giveUp(lateError(call, timeoutMs));
    const timer = startTimer(timeoutMs, onTimeout);
    signal?.addEventListener('abort', onAbort, { once: true });
    call.cleanUp = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  }

  /** `text` lacks the id. */
  #send(call: Call, text: string, fds: readonly number[] | undefined): void {
    const id = this.#calls.add(call);
    const message = id === undefined ? text : `${text.slice(0, -1)},"id":${id}}`;
    this.#options.observer?.sent?.(message, fds ?? []);
    if (fds === undefined) {
      if (this.#out === '') process.nextTick(flush, this);
      this.#out += message;
      return;
    }
    this.flush();
    try {
      this.#transport.write(message, fds);
    } catch (error) {
      this.#calls.undo();
      throw error;
    }
  }

  /** Sends what was written in this turn of the event loop. */
  flush(): void {
    if (this.#out === '') return;
    const text = this.#out;
    this.#out = '';
    this.#transport.write(text);
  }

  /** Whether somebody waits for a reply. */
  get waited(): boolean {
    return this.#calls.waited || this.#outbox.waited;
  }

  /** Fulfilled when no call is waited for any more. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#checkDrained();
    });
  }

  #checkDrained(): void {
    if (this.#drained !== undefined && !this.waited) this.#drained();
  }

  /** Closes the connection; every call is rejected. May be called any number of times. */
  destroy(error: FdsetError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#state = 'closed';
    this.#out = '';
    this.#streamer.reset();
    for (const call of [...this.#calls.drain(), ...this.#outbox.drain()]) call.reject(this.#lost(call, error));
    this.#greeted?.reject(error);
    this.#drained?.();
    this.#transport.destroy();
    this.#options.onClosed(this, error);
  }

  #lost(call: Call, cause: FdsetError): FdsetError {
    return closedError(`${call.command}: ${cause.message}`, cause);
  }

  #data(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'greeting') {
      this.#received += bytes.length;
      if (this.#received > LONGEST_GREETING) {
        return this.#refuse(`no greeting within the first ${LONGEST_GREETING} bytes`);
      }
    }
    this.#streamer.push(bytes);
  }

  #take(value: JsonValue | JsonParseError): void {
    if (value instanceof JsonParseError) return this.#refuse(value.message, value);
    this.#options.observer?.received?.(value);
    const message = parseResponse(value);
    if (message.kind === 'garbage') return this.#refuse(message.reason);
    if (message.kind === 'greeting') return this.#greet(message);
    if (this.#state === 'greeting') return this.#refuse(`a ${message.kind} instead of a greeting`);
    if (message.kind === 'event') this.#options.onEvent(message);
    else this.#settle(message);
  }

  /** A second greeting is let pass: QEMU greets twice who connects while its monitor moves to another thread. */
  #greet({ version, capabilities }: Greeting): void {
    if (this.#state !== 'greeting') return;
    this.#state = 'negotiating';
    this.#greeting = { version, capabilities };
    this.#greeted?.resolve(this.#greeting);
    this.#greeted = undefined;
  }

  #settle(reply: Extract<QmpMessage, { kind: 'return' | 'error' }>): void {
    const call = this.#calls.take(reply.id);
    if (call === undefined) return this.destroy(strayReply(reply));
    if (reply.kind === 'error') {
      if (!call.settled) call.reject(new QmpError(call.command, reply.errorClass, reply.desc));
    } else if (!call.settled) {
      call.resolve(toPlain(reply.value, this.#options.bigint));
    }
    this.#outbox.answered(call);
    if (this.#drained !== undefined) this.#checkDrained();
  }

  #refuse(what: string, cause?: unknown): void {
    this.destroy(protocolError(`the server does not speak QMP: ${what}`, cause));
  }
}

function flush(session: Session): void {
  session.flush();
}

function lateError(call: Call, timeoutMs: number | undefined): FdsetError {
  return timeoutError(`${call.command}: no reply within ${timeoutMs} ms`);
}

/** A reply that no call waits for. */
function strayReply(reply: Extract<QmpMessage, { kind: 'return' | 'error' }>): FdsetError {
  // The call whose turn it is has an id: the server could not read it, or another one, and does not say which.
  if (reply.kind === 'error' && reply.id === undefined) {
    return protocolError(`the QMP server has misunderstood: ${reply.desc}`);
  }
  const id =
    reply.id === undefined
      ? 'without an id'
      : typeof reply.id === 'number'
        ? `with id ${reply.id}`
        : 'with an id that was never sent';
  return protocolError(`the QMP server has sent a reply ${id}, which no call waits for: one too many`);
}
