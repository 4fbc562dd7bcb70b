// How does a verb of `fdset` fail? One line on stderr that names the thing and the way out, and an exit code.
import { FdsetError } from '../errors.ts';

/** The operation failed (exit code 1), or was asked for wrongly (exit code 2). */
export class CliError extends FdsetError {
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super('ERR_FDSET_CLI', message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Runs a verb; what it throws becomes a line on stderr and the exit code of the process. */
export async function reportErrors(program: string, verb: () => Promise<void>): Promise<void> {
  try {
    await verb();
  } catch (error) {
    process.exitCode = error instanceof CliError ? error.exitCode : 1;
    // An error of ours explains itself; anything else is a bug, and its stack is what the report needs.
    const text = error instanceof FdsetError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`${program}: ${text}\n`);
  }
}
