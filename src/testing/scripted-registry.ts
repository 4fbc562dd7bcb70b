// What does a command of a test's QEMU do? What the test has said, before what the monitor knows by itself.
import { FdsetError, type QapiErrorClass } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import type { JsonOutput } from '../json/index.ts';
import { type CommandContext, type CommandOutcome, CommandRegistry, type RegisteredCommand } from '../monitor/index.ts';
import { command, type CommandDefinition } from '../qapi/index.ts';
import type { FaultOrders } from './fault.ts';
import { type PlainJson, toPlain } from './plain-json.ts';

/** What a canned reply knows of the call. */
export interface CannedCall {
  /** The fd that came with the command, owned by the caller from now on; null: none has come. */
  takeFd(): OwnedFd | null;
}

/** Makes the result of a command from its arguments, or a promise of it; throws {@link errorReply}. */
export type CannedFunction = (
  args: { readonly [name: string]: PlainJson },
  call: CannedCall,
) => JsonOutput | undefined | void | Promise<JsonOutput | undefined | void>;

/** What a command answers: a result, an error made by {@link errorReply}, or a function that makes either. */
export type CannedReply = JsonOutput | FdsetError | CannedFunction;

/** The error reply of a command, to be given to {@link TestQemu.reply} or thrown by a function that it got. */
export function errorReply(desc: string, errorClass: QapiErrorClass = 'GenericError'): FdsetError {
  return new FdsetError('ERR_FDSET_CANNED', desc, { errorClass });
}

/** Commands with canned replies before the registered ones. */
export class ScriptedRegistry extends CommandRegistry {
  readonly #canned = new Map<string, RegisteredCommand>();
  readonly #delays: FaultOrders;
  readonly #closing: Promise<unknown>;

  /**
   * @param delays what `delay` was ordered for
   * @param closing ends every delay
   */
  constructor(delays: FaultOrders, closing: Promise<unknown>) {
    super();
    this.#delays = delays;
    this.#closing = closing;
  }

  /** Lets a command answer this from now on. */
  can(name: string, reply: CannedReply, allowOob: boolean): void {
    const run = typeof reply === 'function' ? reply : fixedReply(reply);
    this.#canned.set(name, {
      definition: command(name, { allowOob }),
      visit: (given) => toPlain(given ?? new Map()),
      run: (args, context) => run(args as Parameters<CannedFunction>[0], context),
    });
  }

  override find(name: string): RegisteredCommand | undefined {
    const command = this.#canned.get(name) ?? super.find(name);
    const [delay] = this.#delays.take(name);
    if (command === undefined || delay?.kind !== 'delay') return command;
    return { ...command, run: (args, context) => this.#runLater(command, delay.until, args, context) };
  }

  override get commands(): CommandDefinition[] {
    const canned = [...this.#canned].map(([, { definition }]) => definition);
    return [...super.commands.filter(({ name }) => !this.#canned.has(name)), ...canned];
  }

  async #runLater(
    { run }: RegisteredCommand,
    until: number | Promise<unknown>,
    args: unknown,
    context: CommandContext,
  ): Promise<CommandOutcome> {
    let timer: NodeJS.Timeout | undefined;
    const due = typeof until === 'number' ? new Promise((resolve) => (timer = setTimeout(resolve, until))) : until;
    await Promise.race([due, this.#closing]);
    clearTimeout(timer);
    return run(args, context);
  }
}

/** An fd that comes along is taken, so that it stands in the log, and closed. */
function fixedReply(reply: Exclude<CannedReply, CannedFunction>): CannedFunction {
  return (_, call) => {
    call.takeFd()?.close();
    if (reply instanceof FdsetError) throw reply;
    return reply;
  };
}
