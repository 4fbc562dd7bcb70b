// What does a program hold that talks to a QMP server? A client: commands, events and files, over one connection or,
// where that is asked for, one after another.
//
//  state        | on                                   | goes to
//  -------------|--------------------------------------|-----------------------------------------------------
//  ready        | the connection is lost               | reconnecting where that was asked for, else closed
//               | close()                              | closing: no new calls, those in flight are awaited
//  reconnecting | a connection that takes commands     | ready
//               | close(), the last attempt has failed | closed
//  closing      | the last call is settled, or in time | closed
//  any          | destroy()                            | closed: every call is rejected with the cause
import { FdsetError } from '../errors.ts';
import type { JsonOutput } from '../json/index.ts';
import type { QmpVersion } from '../qmp/index.ts';
import type { PeerCredentials } from '../socket/index.ts';
import { closedError, timeoutError } from './client-error.ts';
import {
  DEFAULT_CLIENT_LIMITS,
  type QmpClientOptions,
  type QmpClientState,
  type StateListener,
  type WaitOptions,
} from './client-options.ts';
import { establish } from './establish.ts';
import { callListener, EventHub, type EventNames, type EventStream, type EventStreamOptions } from './events.ts';
import { plainObject } from './plain.ts';
import {
  addFd,
  type AddedFd,
  type AddFdOptions,
  closeFd,
  type Executor,
  type FdSet,
  type FdsetOwner,
  getFd,
  type OpenFdSet,
  type PassOptions,
  queryFdsets,
  removeFd,
  type SetId,
  withFdset,
} from './files.ts';
import { type JobArguments, type JobClient, type JobProgress, runJob, type RunJobOptions } from './jobs.ts';
import { listenFor, QmpListener, type QmpListenOptions } from './listen.ts';
import type { QmpFile } from './passed-file.ts';
import { callSite, tellSite } from './qmp-error.ts';
import { type ReconnectOptions, reconnect } from './reconnect.ts';
import type { SchemaInfo } from './schema-info.ts';
import type { ExecuteOptions, Greeting, Session, SessionOptions } from './session.ts';
import { type Connector, connectorOf, type QmpTarget } from './target.ts';
import { startTimer } from './timer.ts';
import type {
  AnyEvent,
  AnySchema,
  CommandArguments,
  CommandName,
  CommandResult,
  EventName,
  EventOf,
  ExecuteParameters,
  JobArgumentsOf,
  QmpArguments,
  QmpEvent,
  QmpSchemaTypes,
} from './typed.ts';

const DEFAULT_TIMEOUT = 5000;
const NO_OPTIONS: ExecuteOptions = {};

/**
 * A client of a QMP server, made by {@link QmpClient.connect}. `S` names the schema type that commands and events get
 * their types from; see {@link QmpSchemaTypes}.
 */
export class QmpClient<S extends QmpSchemaTypes = AnySchema> {
  readonly #connector: Connector;
  readonly #options: QmpClientOptions;
  readonly #hub = new EventHub();
  readonly #stateListeners = new Set<StateListener>();
  /** Ends attempts to connect. */
  readonly #stop = new AbortController();
  /** Fulfilled when the client is closed for good: with the cause, or undefined where close() was called. */
  readonly closed: Promise<FdsetError | undefined>;
  #markClosed!: (cause: FdsetError | undefined) => void;
  #state: QmpClientState = 'ready';
  #cause: FdsetError | undefined;
  #session: Session | undefined;
  #greeting: Greeting | undefined;
  #schema: Promise<readonly SchemaInfo[]> | undefined;
  #reconnecting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(connector: Connector, options: QmpClientOptions) {
    this.#connector = connector;
    this.#options = options;
    this.closed = new Promise((resolve) => (this.#markClosed = resolve));
  }

  /**
   * Connects, awaits the greeting and negotiates.
   *
   * @throws FdsetError `ERR_FDSET_QMP_TIMEOUT`: no greeting in time; the text says who holds the monitor
   * @throws FdsetError `ERR_FDSET_QMP_PROTOCOL`: it is no QMP server; `ERR_FDSET_QMP_CLOSED`: it has hung up;
   *   `ERR_FDSET_QMP_UNSUPPORTED`: it does not offer `oob`
   * @throws SystemError the connection is refused; errors of node:dns and node:tls; the signal's reason
   */
  static async connect<S extends QmpSchemaTypes = AnySchema>(
    target: QmpTarget,
    options: QmpClientOptions = {},
  ): Promise<QmpClient<S>> {
    return QmpClient.over(connectorOf(target), options);
  }

  /**
   * Listens for a server that connects out, such as QEMU with `-chardev socket,…,server=off`: on a Unix socket or TCP.
   *
   * @throws SystemError EADDRINUSE, EACCES …
   */
  static listen<S extends QmpSchemaTypes = AnySchema>(
    address: string | { readonly host: string; readonly port: number },
    options: QmpListenOptions = {},
  ): QmpListener<QmpClient<S>> {
    return new QmpListener(listenFor(address, options), (fd, signal) =>
      QmpClient.connect<S>(fd, { ...options, ...(signal && { signal }) }),
    );
  }

  /** Connects with a connector. */
  private static async over<S extends QmpSchemaTypes>(
    connector: Connector,
    options: QmpClientOptions,
  ): Promise<QmpClient<S>> {
    if (options.reconnect && !connector.repeatable) throw new TypeError('this target cannot be connected to again');
    const client = new QmpClient<S>(connector, options);
    await client.#connect(options.signal);
    return client;
  }

  async #connect(signal: AbortSignal | undefined): Promise<void> {
    const { timeoutMs = DEFAULT_TIMEOUT, limits, bigint = false, oob = false, ids, observer } = this.#options;
    const options: SessionOptions = {
      limits: { ...DEFAULT_CLIENT_LIMITS, ...limits },
      bigint,
      oob,
      numbered: oob || ids === 'always' || observer !== undefined,
      observer,
      onEvent: ({ name, data, timestamp }) =>
        this.#hub.dispatch(name, () => ({ name, data: data ? plainObject(data, bigint) : {}, timestamp })),
      onClosed: (session, error) => {
        if (session === this.#session) this.#lost(error);
      },
    };
    const { session, greeting } = await establish(this.#connector, { timeoutMs, signal }, options);
    if (this.#stop.signal.aborted) session.destroy(closedError('the QMP client is closed')); // at the last moment
    if (session.error !== undefined) throw session.error; // it has gone right after the negotiation
    this.#session = session;
    this.#greeting = greeting;
    this.#schema = undefined;
    if (this.#state !== 'reconnecting') return;
    this.#cause = undefined;
    this.#setState('ready');
  }

  /** What the server has said of itself. */
  get version(): QmpVersion {
    return this.#greeted.version;
  }

  /** The capabilities that the server offers. */
  get capabilities(): readonly string[] {
    return this.#greeted.capabilities;
  }

  /**
   * The process that the server's socket listened in when it was made: pid, uid and gid. Undefined where the kernel does
   * not tell, as over TCP, and while there is no connection. SO_PEERCRED of unix(7).
   */
  get peer(): PeerCredentials | undefined {
    return this.#state === 'ready' ? this.#session?.peer : undefined;
  }

  get #greeted(): Greeting {
    if (this.#greeting === undefined) throw new Error('a client is only handed out after its greeting');
    return this.#greeting;
  }

  get state(): QmpClientState {
    return this.#state;
  }

  /** Why the last connection is gone; undefined while there is one, or where close() was called. */
  get cause(): FdsetError | undefined {
    return this.#cause;
  }

  /** @returns what takes the listener away again */
  onState(listener: StateListener): () => void {
    this.#stateListeners.add(listener);
    return () => void this.#stateListeners.delete(listener);
  }

  /**
   * Runs a command and returns what it returns.
   *
   * @throws QmpError the server's error reply
   * @throws FdsetError `ERR_FDSET_QMP_CLOSED`: the connection is lost, and it is unknown whether the command was carried
   *   out; `ERR_FDSET_QMP_TIMEOUT`; `ERR_FDSET_QMP_NO_FDS`: fds cannot go over this connection; the signal's reason
   */
  async execute<const C extends CommandName<S>>(
    command: C,
    ...[args, options]: ExecuteParameters<S, C, ExecuteOptions>
  ): Promise<CommandResult<S, C>> {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- named, not called: the stack begins above it
    const site = this.#options.callSites === true ? callSite(this.execute) : undefined;
    try {
      const session = this.#state === 'ready' ? this.#session : undefined;
      if (session === undefined) throw this.#unready(command);
      const result = await session.execute(command, args as JsonOutput | undefined, options ?? NO_OPTIONS);
      return result as CommandResult<S, C>;
    } catch (error) {
      // The call is over and its error on the way to who awaits it: whom V8 knows now, without the cost of a stack per call.
      // eslint-disable-next-line @typescript-eslint/unbound-method -- named, not called: the stack begins above it
      if (error instanceof FdsetError && error !== options?.signal?.reason) tellSite(error, site, this.execute);
      throw error;
    }
  }

  #unready(command: string): FdsetError {
    const now = this.#state === 'reconnecting' ? 'lost, and being made anew' : 'closed';
    const because = this.#cause === undefined ? '' : `: ${this.#cause.message}`;
    return closedError(`${command}: the QMP connection is ${now}${because}`, this.#cause);
  }

  /** What the server says of its commands and events: query-qmp-schema, asked once per connection. */
  querySchema(): Promise<readonly SchemaInfo[]> {
    this.#schema ??= this.#askSchema();
    return this.#schema;
  }

  async #askSchema(): Promise<readonly SchemaInfo[]> {
    try {
      return (await this.#inner.run('query-qmp-schema')) as SchemaInfo[];
    } catch (error) {
      this.#schema = undefined;
      throw error;
    }
  }

  /**
   * Passes a file into an fd set, in one sendmsg with add-fd. See {@link QmpFile} for what stays whose.
   *
   * @throws QmpError CommandNotFound: the server has no fd sets
   * @throws FdsetError `ERR_FDSET_QMP_NO_FDS`: files cannot go over this connection; `ERR_FDSET_QMP_FILE`: it cannot be
   *   opened; `ERR_FDSET_QMP_UNSUPPORTED`: the server is too old; and what {@link QmpClient.execute} throws
   */
  addFd(file: QmpFile, options?: AddFdOptions): Promise<AddedFd> {
    return addFd(this.#inner, file, options);
  }

  /** Removes one fd of a set, or all of it; who has opened it keeps it open. Throws what execute throws. */
  removeFd(set: SetId, fd?: number, options?: ExecuteOptions): Promise<void> {
    return removeFd(this.#inner, set, fd, options);
  }

  /** The fd sets of the server. Throws what execute throws. */
  queryFdsets(options?: ExecuteOptions): Promise<FdSet[]> {
    return queryFdsets(this.#inner, options);
  }

  /** Passes a file under a name (getfd), for a command that takes the name. Throws what addFd throws. */
  getFd(file: QmpFile, name: string, options?: PassOptions): Promise<void> {
    return getFd(this.#inner, file, name, options);
  }

  /** Closes a file that was passed under a name and that no command has taken. Throws what execute throws. */
  closeFd(name: string, options?: ExecuteOptions): Promise<void> {
    return closeFd(this.#inner, name, options);
  }

  /**
   * Passes files into one set, runs `use` with it, and removes them when that is done, whether or not it succeeds. Where
   * the connection is lost, another one is made for that. What the server has opened meanwhile it keeps open.
   *
   * @param options.set a set to add to; default: a new one
   * @throws what `use` throws, and what {@link QmpClient.addFd} throws
   */
  withFdset<T>(files: readonly QmpFile[], use: (set: OpenFdSet) => Promise<T> | T, options?: AddFdOptions): Promise<T> {
    return withFdset(this.#inner, files, use, options);
  }

  /**
   * Runs a command that starts a job, such as blockdev-create, and waits until the job has ended and is dismissed. A
   * `job-id` is made up where `args` have none.
   *
   * @returns how far it went
   * @throws JobError the job has failed; the signal's reason: it was cancelled, and has ended
   * @throws FdsetError `ERR_FDSET_QMP_CLOSED`: the connection is lost, the job may go on; what execute throws
   */
  runJob<const C extends CommandName<S>>(
    command: C,
    args: JobArgumentsOf<CommandArguments<S, C>>,
    options?: RunJobOptions,
  ): Promise<JobProgress> {
    return runJob(this.#inner, command, args as JobArguments, options);
  }

  /** This client as the functions of files.ts and jobs.ts use it. */
  readonly #inner: FdsetOwner & JobClient = this.#makeInner();

  #makeInner(): FdsetOwner & JobClient {
    // eslint-disable-next-line unicorn/no-this-assignment, @typescript-eslint/no-this-alias -- getters have their own this
    const client = this as unknown as QmpClient;
    return {
      get version() {
        return client.version;
      },
      get noFds() {
        return client.#session?.noFds;
      },
      run: (command, args, options = {}) => client.execute(command, args as QmpArguments, options),
      undo: (command, args) =>
        client.#session === undefined || client.#state === 'reconnecting'
          ? client.execute(command, args as QmpArguments)
          : client.#session.execute(command, args, { timeoutMs: DEFAULT_TIMEOUT }),
      querySchema: () => client.querySchema(),
      listen: (names, listener) => client.onEvent(names, listener),
      onLoss: (lost) => client.onState((state, cause) => void (state === 'ready' || lost(cause))),
      cleanUp: (use) => client.#cleanUp(use),
    };
  }

  async #cleanUp(use: (client: Executor, isOther: boolean) => Promise<void>): Promise<void> {
    if (this.#state === 'ready') {
      const { error } = this.#session!;
      try {
        return await use(this.#inner, false);
      } catch (failure) {
        if (error === undefined && this.#session?.error === undefined && this.#state === 'ready') throw failure;
      }
    }
    if (this.#state === 'reconnecting') {
      await this.whenReady({ timeoutMs: this.#options.timeoutMs ?? DEFAULT_TIMEOUT });
      return use(this.#inner, true);
    }
    if (!this.#connector.repeatable) return; // the server is out of reach
    const { reconnect: _, signal: __, oob: ___, ...options } = this.#options;
    const other = await QmpClient.over(this.#connector, options);
    try {
      await use(other.#inner, true);
    } finally {
      await other.close();
    }
  }

  /**
   * Waits for the state `ready`.
   * @throws FdsetError `ERR_FDSET_QMP_CLOSED`, `ERR_FDSET_QMP_TIMEOUT`; the signal's reason
   */
  whenReady({ timeoutMs, signal }: WaitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ready') return resolve();
      if (this.#state !== 'reconnecting') return reject(closedError('the QMP client is closed', this.#cause));
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const settle = (settled: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        forget();
        settled();
      };
      const late = (): void => settle(() => reject(timeoutError(`no connection within ${timeoutMs} ms`)));
      const onAbort = (): void => settle(() => reject(signal?.reason as Error));
      const timer = startTimer(timeoutMs, late);
      signal?.addEventListener('abort', onAbort, { once: true });
      const forget = this.onState((state, cause) => {
        if (state === 'ready') settle(resolve);
        else if (state !== 'reconnecting') settle(() => reject(closedError('the QMP client is closed', cause)));
      });
    });
  }

  /**
   * Events from this moment on, for `for await`. The subscription begins with this call, not with the loop: subscribe,
   * then run the command that makes events, then loop. It goes on over reconnections; while there is no connection
   * there are no events.
   *
   * A slow consumer gets a bounded number of events late, never a slow client: see {@link EventStreamOptions}.
   */
  events(): EventStream<AnyEvent<S>>;
  events<const N extends EventName<S>>(
    names: N | readonly N[],
    options?: EventStreamOptions<EventOf<S, N>>,
  ): EventStream<EventOf<S, N>>;
  events(names: '*', options?: EventStreamOptions<AnyEvent<S>>): EventStream<AnyEvent<S>>;
  events(names: EventNames = '*', options: EventStreamOptions<never> = {}): EventStream<never> {
    return this.#hub.stream(names, options);
  }

  /**
   * Calls a listener with each event, while the message that brought it is read: before the reply behind it settles. One
   * that throws causes an uncaught exception.
   * @returns what takes the listener away again
   */
  onEvent<const N extends EventName<S>>(names: N | readonly N[], listener: (event: EventOf<S, N>) => void): () => void;
  onEvent(names: '*', listener: (event: AnyEvent<S>) => void): () => void;
  onEvent(names: EventNames, listener: (event: never) => void): () => void {
    return this.#hub.listen(names, listener as (event: QmpEvent) => void);
  }

  /**
   * The next event of a name. To wait for what a command causes, call this first and await it after the command. Where
   * the command fails the promise may be left alone: it is no unhandled rejection.
   *
   * @throws FdsetError `ERR_FDSET_QMP_TIMEOUT`, `ERR_FDSET_QMP_CLOSED`; the signal's reason
   */
  waitForEvent<const N extends EventName<S>>(
    names: N | readonly N[],
    options: WaitOptions & { readonly where?: (event: EventOf<S, N>) => boolean } = {},
  ): Promise<EventOf<S, N>> {
    const came = this.#waitForEvent(names, options);
    came.catch(() => undefined); // where the command fails nobody awaits it
    return came;
  }

  async #waitForEvent<const N extends EventName<S>>(
    names: N | readonly N[],
    options: WaitOptions & { readonly where?: (event: EventOf<S, N>) => boolean },
  ): Promise<EventOf<S, N>> {
    const { timeoutMs, ...rest } = options;
    const stream = this.events(names, rest);
    const late = (): void => stream.end(timeoutError(`no event ${String(names)} within ${timeoutMs} ms`));
    const timer = startTimer(timeoutMs, late);
    try {
      const { value } = await stream.next();
      if (value === undefined) throw closedError(`no event ${String(names)}: the QMP client was closed`);
      return value;
    } finally {
      clearTimeout(timer);
      stream.close();
    }
  }

  #lost(error: FdsetError): void {
    if (this.#state === 'closed') return;
    this.#cause = error;
    const { reconnect: wanted } = this.#options;
    if (this.#state !== 'ready' || wanted === undefined || wanted === false) return this.#end(error);
    this.#setState('reconnecting');
    this.#reconnecting = this.#reconnect(wanted === true ? {} : wanted, error);
  }

  async #reconnect(options: ReconnectOptions, lost: FdsetError): Promise<void> {
    try {
      await reconnect(() => this.#connect(this.#stop.signal), options, this.#stop.signal);
    } catch (error) {
      if (this.#state !== 'reconnecting') return;
      const why = error instanceof Error ? error.message : String(error);
      this.#end(closedError(`${lost.message}; connecting anew has failed: ${why}`, error));
    }
  }

  #setState(state: QmpClientState): void {
    this.#state = state;
    const cause = this.#cause;
    const listeners = [...this.#stateListeners];
    for (const listener of listeners) {
      if (this.#stateListeners.has(listener)) callListener(() => listener(state, cause));
    }
  }

  #end(cause: FdsetError | undefined): void {
    if (this.#state === 'closed') return;
    const asked = this.#state === 'closing';
    this.#cause = asked ? undefined : cause;
    this.#stop.abort(closedError('the QMP client is closed', cause));
    this.#hub.end(this.#cause);
    this.#setState('closed');
    this.#markClosed(this.#cause);
  }

  /**
   * Takes no more calls, lets those in flight have their replies for up to `timeoutMs` (default 5000), and closes. Event
   * streams end. Resolves when nothing is left; may be called any number of times.
   */
  close({ timeoutMs = DEFAULT_TIMEOUT }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    const session = this.#session;
    const wasReady = this.#state === 'ready';
    if (this.#state !== 'closed') this.#setState('closing');
    if (wasReady && session !== undefined) await drained(session, timeoutMs);
    this.#end(undefined);
    session?.destroy(closedError('the QMP client was closed'));
    await Promise.all([session?.gone, this.#reconnecting]);
  }

  /** Closes at once: calls in flight reject and event streams throw, with `error` as the cause. */
  destroy(error?: Error): void {
    const cause = error instanceof FdsetError ? error : closedError(`the QMP client was destroyed${why(error)}`, error);
    const session = this.#session;
    this.#end(cause);
    session?.destroy(cause);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function why(error: Error | undefined): string {
  return error === undefined ? '' : `: ${error.message}`;
}

/** What was taken back of calls that were given up counts as in flight, and begins with their replies, some promises on. */
async function quiet(session: Session): Promise<void> {
  do {
    await session.drained();
    await new Promise((resolve) => setImmediate(resolve));
  } while (session.error === undefined && session.waited);
}

async function drained(session: Session, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = startTimer(timeoutMs, resolve)));
  await Promise.race([quiet(session), late]);
  clearTimeout(timer);
}
