// Who runs a command, and when? In-band commands of all monitors run one at a time, in turn: as the dispatcher of QEMU's
// monitor/qmp.c. What one request means is settled as in qapi/qmp-dispatch.c. Rules: qmp.md sections 2, 4 and 7.
import { FdsetError } from '../errors.ts';
import type { QmpRequest } from '../qmp/index.ts';
import type { CommandContext, CommandOutcome, CommandRegistry } from './registry.ts';

/** A session with requests that wait for the line. */
export interface InLine {
  /** Starts one request; says whether more wait. */
  takeTurn(): boolean;
}

/**
 * The line that in-band commands of all monitors stand in. A synchronous command starts and ends within its turn; an
 * asynchronous one holds the line until it is done.
 */
export class Dispatcher {
  readonly #line: InLine[] = [];
  #held = false;
  #stopped = false;

  /** Whether a command may start now, without waiting. */
  get free(): boolean {
    return !this.#held && !this.#stopped;
  }

  /** Puts a session at the end of the line; each start of a request takes a new turn, so that monitors alternate. */
  join(session: InLine): void {
    if (!this.#line.includes(session)) this.#line.push(session);
    this.#run();
  }

  leave(session: InLine): void {
    const place = this.#line.indexOf(session);
    if (place >= 0) this.#line.splice(place, 1);
  }

  /** A command is not done yet: nobody else's turn comes. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#run();
  }

  /** No request is started any more. */
  stop(): void {
    this.#stopped = true;
  }

  #run(): void {
    while (this.free) {
      const session = this.#line.shift();
      if (session === undefined) return;
      if (session.takeTurn()) this.#line.push(session);
    }
  }
}

/**
 * Starts the command of a request.
 *
 * @returns its result, or a promise of it
 * @throws FdsetError the error reply
 */
export function dispatch(
  registry: CommandRegistry,
  request: QmpRequest,
  negotiated: boolean,
  context: CommandContext,
): CommandOutcome | Promise<CommandOutcome> {
  const { command: name } = request;
  if (!negotiated && name !== 'qmp_capabilities') {
    throw notFound("Expecting capabilities negotiation with 'qmp_capabilities'");
  }
  const command = registry.find(name);
  if (command === undefined) throw notFound(`The command ${name} has not been found`);
  if (request.oob && !command.definition.allowOob) {
    throw new FdsetError('ERR_FDSET_QMP', `The command ${name} does not support OOB`);
  }
  return command.run(command.visit(request.arguments), context);
}

function notFound(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_COMMAND_NOT_FOUND', message, { errorClass: 'CommandNotFound' });
}
