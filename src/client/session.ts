// How does one talk to a QMP server and hand it files?
//
//  state    | on                         | goes to
//  ---------|----------------------------|-------------------------------------------------------------
//  greeting | greeting                   | ready: connect() then negotiates like any other call
//           | anything else, time out    | closed
//  ready    | return, error              | ready: settles the call with that id
//           | event                      | ready: kept, beyond the limit the oldest is dropped
//  any      | close(), end of stream     | closed: every pending call rejects with the cause
import { FdsetError } from '../errors.ts';
import { OwnedFd } from '../fds/index.ts';
import { JsonParseError, JsonStreamer, type JsonObject, type JsonOutput, type JsonValue } from '../json/index.ts';
import { encodeRequest, parseResponse, type QmpTimestamp, type QmpVersion } from '../qmp/index.ts';
import { type Channel, connectInet, connectUnix, openChannel } from '../socket/index.ts';
import { findMonitorHolders } from './monitor-holders.ts';
import { QmpError } from './qmp-error.ts';

/** Where a server is: a path (`@NAME`: abstract), a TCP address, or a connected socket, owned by the client then. */
export type QmpTarget = string | { readonly host: string; readonly port: number } | OwnedFd;

export interface QmpClientOptions {
  /** Milliseconds for connecting, greeting and negotiation together. Default: 5000. */
  readonly greetingTimeoutMs?: number;
  /** Events kept until {@link QmpClient.takeEvents}. Default: 1024. */
  readonly maxEvents?: number;
}

export interface ExecuteOptions {
  /** Sent with the command's first byte. They stay the caller's, who may close them once `execute` has returned. */
  readonly fds?: readonly number[];
  /** Milliseconds until the call rejects; the command may still be carried out. Default: no limit. */
  readonly timeoutMs?: number;
}

/** An event as it came. */
export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject | undefined;
  readonly timestamp: QmpTimestamp;
}

const DEFAULT_GREETING_TIMEOUT = 5000;
const DEFAULT_MAX_EVENTS = 1024;

/** A promise to be settled from elsewhere. */
interface Waiting<T> {
  readonly what: string;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

interface Greeting {
  readonly version: QmpVersion;
  readonly capabilities: readonly string[];
}

/** A negotiated connection to a QMP server. Out-of-band execution is not enabled, so fds stay with their commands. */
export class QmpClient {
  readonly #channel: Channel;
  readonly #maxEvents: number;
  readonly #streamer = new JsonStreamer((value) => this.#received(value));
  readonly #calls = new Map<number, Waiting<JsonValue>>();
  readonly #gone: Promise<void>;
  #greeting: Greeting | undefined;
  #greeted: Waiting<Greeting> | undefined;
  #events: QmpEvent[] = [];
  #lastId = 0;
  #closed: FdsetError | undefined;

  private constructor(fd: OwnedFd, maxEvents: number) {
    this.#maxEvents = maxEvents;
    let left: () => void;
    this.#gone = new Promise((resolve) => (left = resolve));
    this.#channel = openChannel(fd, {
      data: (_, bytes) => this.#streamer.push(bytes),
      end: () => this.#fail(closedError('the QMP server has closed the connection')),
      close: (_, error) => {
        this.#fail(closedError('the QMP connection is lost', error));
        left();
      },
    });
  }

  /**
   * Connects, awaits the greeting and negotiates.
   *
   * @throws FdsetError `ERR_FDSET_QMP_TIMEOUT`: no greeting in time; the text says who holds the monitor
   * @throws SystemError the connection is refused
   */
  static async connect(target: QmpTarget, options: QmpClientOptions = {}): Promise<QmpClient> {
    const timeoutMs = options.greetingTimeoutMs ?? DEFAULT_GREETING_TIMEOUT;
    const deadline = Date.now() + timeoutMs;
    const client = new QmpClient(await openSocket(target, timeoutMs), options.maxEvents ?? DEFAULT_MAX_EVENTS);
    try {
      const noGreeting = (): FdsetError => timeoutError(`no greeting within ${timeoutMs} ms${holders(target)}`);
      client.#greeting = await limited<Greeting>(deadline - Date.now(), noGreeting, (resolve, reject) => {
        client.#greeted = { what: 'greeting', resolve, reject };
      });
      await client.execute('qmp_capabilities', undefined, { timeoutMs: deadline - Date.now() });
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** What the server said of itself. */
  get version(): QmpVersion {
    return this.#known.version;
  }

  /** The capabilities that the server offers. */
  get capabilities(): readonly string[] {
    return this.#known.capabilities;
  }

  get #known(): Greeting {
    if (this.#greeting === undefined) throw new Error('a client is only handed out after its greeting');
    return this.#greeting;
  }

  /**
   * Runs a command and returns what it returns.
   *
   * @throws QmpError the server's error reply
   * @throws FdsetError `ERR_FDSET_QMP_TIMEOUT`, `ERR_FDSET_QMP_CLOSED`
   */
  async execute(command: string, args?: JsonOutput, options: ExecuteOptions = {}): Promise<JsonValue> {
    if (this.#closed !== undefined) throw closedError(`${command}: the QMP connection is closed`, this.#closed);
    const id = ++this.#lastId;
    const late = (): FdsetError => timeoutError(`${command}: no reply within ${options.timeoutMs} ms`);
    try {
      return await limited<JsonValue>(options.timeoutMs, late, (resolve, reject) => {
        this.#calls.set(id, { what: command, resolve, reject });
        this.#channel.write(encodeRequest({ command, arguments: args, id }), options.fds);
      });
    } finally {
      this.#calls.delete(id);
    }
  }

  /** The events since the last call, oldest first. */
  takeEvents(): QmpEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Closes the connection; pending calls reject. Resolves when it is closed; may be called any number of times. */
  close(): Promise<void> {
    this.#fail(closedError('the QMP client was closed'));
    return this.#gone;
  }

  #received(value: JsonValue | JsonParseError): void {
    if (value instanceof JsonParseError) return this.#fail(closedError('the server does not speak QMP', value));
    const message = parseResponse(value);
    switch (message.kind) {
      case 'greeting':
        this.#greeted?.resolve(message);
        break;
      case 'event':
        this.#events.push({ name: message.name, data: message.data, timestamp: message.timestamp });
        if (this.#events.length > this.#maxEvents) this.#events.shift();
        break;
      case 'return':
        this.#calls.get(message.id as number)?.resolve(message.value);
        break;
      case 'error': {
        // Requests have ids: the server could not read one of them, and does not say which.
        if (message.id === undefined) return this.#fail(closedError(`the server has misunderstood: ${message.desc}`));
        const call = this.#calls.get(message.id as number);
        call?.reject(new QmpError(call.what, message.errorClass, message.desc));
        break;
      }
      case 'garbage':
        this.#fail(closedError(`the server does not speak QMP: ${message.reason}`));
    }
  }

  #fail(error: FdsetError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#greeted?.reject(error);
    for (const call of this.#calls.values()) call.reject(closedError(`${call.what}: ${error.message}`, error));
    this.#channel.destroy();
  }
}

async function openSocket(target: QmpTarget, timeoutMs: number): Promise<OwnedFd> {
  if (target instanceof OwnedFd) return target;
  if (typeof target === 'string') {
    // QEMU's backlog is short: behind one client that is served and a few that wait, connecting waits already.
    return connectUnix(target, { timeoutMs }).catch((error: unknown) => {
      if (!(error instanceof FdsetError) || error.code !== 'ERR_FDSET_CONNECT_TIMEOUT') throw error;
      throw timeoutError(`no connection within ${timeoutMs} ms${holders(target)}`);
    });
  }
  return connectInet(target.host, target.port, { timeoutMs });
}

function holders(target: QmpTarget): string {
  if (typeof target !== 'string') return '';
  const found = findMonitorHolders(target).map(({ pid, command }) => `${command} (process ${pid})`);
  return found.length === 0 ? '' : `: the monitor is held by ${found.join(', ')}`;
}

/** A promise that rejects after a time; undefined is no limit. */
async function limited<T>(
  timeoutMs: number | undefined,
  late: () => FdsetError,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      start(resolve, reject);
      if (timeoutMs !== undefined) timer = setTimeout(() => reject(late()), Math.max(0, timeoutMs));
    });
  } finally {
    clearTimeout(timer);
  }
}

function closedError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_CLOSED', message, { cause });
}

function timeoutError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_TIMEOUT', message);
}
