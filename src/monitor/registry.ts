// Which commands are there, and what runs each? As QEMU's qapi/qmp-registry.c.
import type { FdOrigin, NamedFds, OwnedFd } from '../fds/index.ts';
import type { JsonObject, JsonOutput } from '../json/index.ts';
import {
  type CommandArguments,
  type CommandDefinition,
  type CommandResult,
  compileArguments,
  type EventDefinition,
  RevisedSchema,
  type Revision,
} from '../qapi/index.ts';
import type { RateLimit } from './event-throttle.ts';
import type { PeerCredentials } from '../socket/index.ts';

/** What may be enabled by `qmp_capabilities`. */
export type QmpCapability = 'oob';

/** What a command knows about the monitor that it came by. */
export interface CommandContext {
  /** The monitor: its `id`, or the id of its character device. */
  readonly monitorId: string;
  /** The fds that `getfd` has stored in this monitor. They outlive the connection. */
  readonly namedFds: NamedFds;
  /** Who is at the other end, where the transport tells. */
  readonly peer: PeerCredentials | undefined;
  /** The same for the ledger of fds. */
  readonly origin: FdOrigin;
  /**
   * The fd that came with this command, or was left by an earlier one; null if there is none. The caller owns it. Other
   * fds of the same message are closed.
   */
  takeFd(): OwnedFd | null;
  /**
   * Ends the negotiation with these capabilities enabled: for `qmp_capabilities`.
   *
   * @throws FdsetError CommandNotFound if it has ended before
   */
  negotiate(capabilities: readonly QmpCapability[]): void;
  /**
   * Lets no further command run on any monitor, and calls `then` once the reply to this one has left, or after a second
   * with a client that does not read: for `quit`.
   */
  shutDown(then: () => void): void;
  /** Lets this session have the events of a topic, or no more: for commands that ask for events which QEMU lacks. */
  requestEvents(topic: string, on: boolean): void;
}

/**
 * Runs a command. It is called with arguments that fit the schema and returns what the schema says, or a promise of it:
 * until that is settled no other in-band command of any monitor runs. A FdsetError that it throws is the error reply;
 * anything else that it throws is a bug.
 */
export type CommandHandler<C extends CommandDefinition> = (
  args: CommandArguments<C>,
  context: CommandContext,
) => CommandResult<C> | Promise<CommandResult<C>>;

/** What a handler returns, types forgotten; undefined is `{}` on the wire. */
export type CommandOutcome = JsonOutput | undefined | void;

/** A command with what runs it, types forgotten. */
export interface RegisteredCommand {
  readonly definition: CommandDefinition;
  /** @throws QapiError with QEMU's text */
  readonly visit: (given: JsonObject | undefined) => unknown;
  readonly run: (args: unknown, context: CommandContext) => CommandOutcome | Promise<CommandOutcome>;
}

/** The commands and events that the monitors of a program share. */
export class CommandRegistry {
  readonly #commands = new Map<string, RegisteredCommand>();
  readonly #events = new Map<string, EventDefinition>();
  readonly #rateLimits = new Map<string, RateLimit>();

  readonly #schema: RevisedSchema | undefined;

  /** @param revision the version of QEMU whose commands these are to be; by default the schema's own, 10.0 */
  constructor(revision?: Revision) {
    this.#schema = revision && new RevisedSchema(revision);
  }

  /**
   * Adds a command, as it is in the registry's version; where that has none, nothing. A name is taken once: doing it
   * twice is a programming error.
   */
  register<C extends CommandDefinition>(definition: C, handler: CommandHandler<C>): void {
    const revised: CommandDefinition | undefined = this.#schema ? this.#schema.command(definition) : definition;
    if (revised === undefined) return;
    if (this.#commands.has(definition.name)) throw new Error(`command '${definition.name}' is registered already`);
    this.#commands.set(definition.name, {
      definition: revised,
      visit: compileArguments(revised),
      run: handler as RegisteredCommand['run'],
    });
  }

  /** Declares an event that may be broadcast, for `query-qmp-schema`, and how often it may be. */
  declareEvent(definition: EventDefinition, rateLimit?: RateLimit): void {
    const revised = this.#schema ? this.#schema.event(definition) : definition;
    if (revised !== undefined) this.#events.set(definition.name, revised);
    if (rateLimit !== undefined) this.#rateLimits.set(definition.name, rateLimit);
  }

  /** How often an event may be sent; undefined: whenever it happens. */
  rateLimit(event: string): RateLimit | undefined {
    return this.#rateLimits.get(event);
  }

  find(name: string): RegisteredCommand | undefined {
    return this.#commands.get(name);
  }

  /** In order of registration. */
  get commands(): CommandDefinition[] {
    return [...this.#commands.values()].map(({ definition }) => definition);
  }

  get events(): EventDefinition[] {
    return [...this.#events.values()];
  }
}
