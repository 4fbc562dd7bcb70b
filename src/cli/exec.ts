// fdset exec TARGET COMMAND [ARGS]: one command of a QMP server, with the files that go with it.
import type { Command } from 'commander';

import { QmpError } from '../client/index.ts';
import { writeJson, type JsonOutput } from '../json/index.ts';
import { asWords, CommandRunner, hintFor, present } from '../shell/index.ts';
import { CliError } from './cli-error.ts';
import { openFileWord } from './file-word-opener.ts';
import { parseSeconds } from './seconds.ts';
import { type ConnectionOptions, withConnectionOptions, withClient } from './target-client.ts';

interface ExecOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly replyTimeout?: number;
}

export function addExecCommand(program: Command): void {
  withConnectionOptions(
    program
      .command('exec')
      .summary('run one command of a QMP server')
      .argument('<target>', 'path of a QMP socket, or host:port')
      .argument('<command>', 'as query-commands lists them')
      .argument('[arguments...]', 'key=value, {JSON}, @FILE:rw to pass a file')
      .option('--json', 'the result as one line of JSON')
      .option('--reply-timeout <seconds>', 'give up waiting for the reply; default: never', parseSeconds),
  ).action(exec);
}

async function exec(target: string, command: string, args: readonly string[], options: ExecOptions): Promise<void> {
  const limit = options.replyTimeout === undefined ? {} : { timeoutMs: options.replyTimeout * 1000 };
  await withClient(target, options, async (client) => {
    const runner = new CommandRunner(client, openFileWord);
    const { value, sets } = await runner.run(asWords([command, ...args]), limit).catch((error: unknown) => {
      const hint = error instanceof QmpError ? hintFor(error) : '';
      throw hint === '' ? error : new CliError(`${target}: ${(error as Error).message}${hint}`, { cause: error });
    });
    for (const { set, file } of sets) {
      process.stderr.write(`fdset: ${file.path} is /dev/fdset/${set} until remove-fd fdset-id=${set}\n`);
    }
    process.stdout.write(`${options.json ? writeJson(value as JsonOutput, { dense: true }) : shown(value)}\n`);
  });
}

function shown(value: unknown): string {
  const { isTTY, columns } = process.stdout;
  return present(value, isTTY ? { width: columns, colors: !process.env['NO_COLOR'] } : { width: 100, colors: false });
}
