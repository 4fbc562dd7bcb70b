// How does a program of your own become a QMP server? One object: commands, events, fd sets, and where it listens.
import { socketPeerCred } from '../addon/index.ts';
import { SocketChardev } from '../chardev/index.ts';
import { FdsetError } from '../errors.ts';
import { FdsetTable, noFdSupplied, type NamedFds, type OwnedFd } from '../fds/index.ts';
import {
  type CommandContext,
  CommandRegistry,
  createMonitorShared,
  Monitor as ChardevMonitor,
  type MonitorShared,
  type RateLimit,
  PROFILES,
  registerControlCommands,
  registerFdCommands,
  registerIntrospectCommands,
  registerLedgerCommands,
} from '../monitor/index.ts';
import type { CommandArguments, CommandDefinition, CommandResult, EventData, EventDefinition } from '../qapi/index.ts';
import type { PeerCredentials, SocketAddress } from '../socket/index.ts';
import { listenAt, type ListenAddress, type ListenOptions } from './listen.ts';

/** A version of QEMU to behave as. */
export type ProfileName = 'qemu-10.0' | 'qemu-7.2';

export interface MonitorOptions {
  /** The version of QEMU to behave as. Default: `qemu-10.0`. */
  readonly profile?: ProfileName;
  /** Whether whoever has connected may stay; undefined over TCP. Default: everybody who can reach the socket. */
  readonly accepts?: (peer: PeerCredentials | undefined) => boolean;
  /** Makes the command `quit` known: called once its reply has left. No command runs after that. */
  readonly onQuit?: () => void;
}

/** What a command's handler knows of the call, beside its arguments. */
export interface CommandCall {
  /**
   * The fd that came with the command, owned by the handler.
   * @throws FdsetError QEMU's `No file descriptor supplied via SCM_RIGHTS` where none has come
   */
  fd(): OwnedFd;
  /** The same where an fd may come or not; null: none has. */
  optionalFd(): OwnedFd | null;
  /** What `getfd` has stored: `namedFds.take(name)` gives it to the handler. */
  readonly namedFds: NamedFds;
  /** The process at the other end; undefined over TCP. */
  readonly peer: PeerCredentials | undefined;
  /** The way in, as {@link ListenOptions.id} names it. */
  readonly monitorId: string;
}

/**
 * Runs a command: it gets arguments that fit the schema and returns what the schema says, or a promise of it. The
 * {@link FdsetError} that it throws is the error reply; anything else that it throws is answered as a bug and published
 * on the diagnostics channel `fdset:monitor:internal-error`, or as a process warning where nobody listens.
 */
export type Handler<C extends CommandDefinition> = (
  args: CommandArguments<C>,
  call: CommandCall,
) => CommandResult<C> | Promise<CommandResult<C>>;

/**
 * A QMP server: the fd commands, introspection and negotiation of QEMU, and the commands and events of the program.
 *
 * It serves one client on each socket at a time, as QEMU does; commands of all clients run one after the other.
 */
export class Monitor {
  /** What clients have passed with `add-fd`. A handler opens `/dev/fdset/N` with `fdsets.openDup`. */
  readonly fdsets: FdsetTable;
  readonly #registry = new CommandRegistry();
  readonly #shared: MonitorShared;
  readonly #accepts: (connection: OwnedFd) => boolean;
  readonly #monitors: ChardevMonitor[] = [];
  #listened = 0;
  #closing: Promise<void> | undefined;

  constructor(options: MonitorOptions = {}) {
    const { accepts } = options;
    const profile = PROFILES.find(({ name }) => `qemu-${name}` === (options.profile ?? 'qemu-10.0'));
    if (profile === undefined) throw new TypeError(`there is no profile '${options.profile}'`);
    this.#accepts = accepts ? (connection) => accepts(socketPeerCred(connection.fd)) : () => true;
    this.fdsets = new FdsetTable(profile.fdsets);
    this.#shared = createMonitorShared(this.#registry, profile);
    this.#shared.clients.onChange = (count) => this.fdsets.setMonitorClients(count);
    registerControlCommands(this.#registry, { profile, onQuit: options.onQuit });
    registerIntrospectCommands(this.#registry);
    registerFdCommands(this.#registry, this.fdsets);
    registerLedgerCommands(this.#registry, { fdsets: this.fdsets, events: this.#shared.requestedEvents });
  }

  /** Adds a command. A name is taken once: doing it twice is a programming error. */
  command<C extends CommandDefinition>(definition: C, handler: Handler<C>): this {
    this.#registry.register(definition, (args, context) => handler(args, callOf(context)));
    return this;
  }

  /**
   * Declares an event, so that `query-qmp-schema` tells of it and {@link Monitor.emit} may send it.
   *
   * @param options `rateLimit`: the first is sent at once, of those within the interval the newest, when it is over
   */
  event(definition: EventDefinition, { rateLimit }: { readonly rateLimit?: RateLimit } = {}): this {
    this.#registry.declareEvent(definition, rateLimit);
    return this;
  }

  /**
   * Sends an event to every client that has negotiated.
   * @throws Error the event is not declared, which is a programming error
   */
  emit<E extends EventDefinition>(
    definition: E,
    ...[data]: EventData<E> extends undefined ? [] : [data: EventData<E>]
  ): void {
    if (!this.#registry.events.includes(definition)) throw new Error(`event '${definition.name}' is not declared`);
    this.#shared.events.broadcast(definition, data as EventData<E>);
  }

  /**
   * Listens on one more address; clients are served from now on.
   *
   * @returns what it listens on, the port that was free among it
   * @throws SystemError the socket cannot be bound, or the fd is not a stream socket; an fd is closed then
   * @throws FdsetError `ERR_FDSET_MONITOR_CLOSED`
   */
  async listen(address: ListenAddress, options: ListenOptions = {}): Promise<SocketAddress> {
    if (this.#closing !== undefined) throw new FdsetError('ERR_FDSET_MONITOR_CLOSED', 'the monitor is closed');
    const listener = listenAt(address);
    const { id = `monitor${this.#listened++}`, pretty = false } = options;
    const chardev = new SocketChardev(id, { listener }, { accepts: this.#accepts });
    this.#monitors.push(new ChardevMonitor(chardev, this.#shared, { id, pretty }));
    return listener.address;
  }

  /**
   * Takes no more clients, lets the replies leave that were made, closes the connections and every fd that clients have
   * passed. What handlers own stays theirs. May be called any number of times.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.all(this.#monitors.map((monitor) => monitor.close()));
    this.fdsets[Symbol.dispose]();
  }
}

function callOf(context: CommandContext): CommandCall {
  return {
    fd() {
      const fd = context.takeFd();
      if (fd === null) throw noFdSupplied();
      return fd;
    },
    optionalFd: () => context.takeFd(),
    namedFds: context.namedFds,
    peer: context.peer,
    monitorId: context.monitorId,
  };
}
