// fdset shell TARGET: commands to a QMP server as they are typed, or from a file.
import type { Command } from 'commander';

import { QmpError, type QmpClient } from '../client/index.ts';
import { CommandRunner, historyFile, Interpreter, runScript, ScriptError, Terminal } from '../shell/index.ts';
import { CliError } from './cli-error.ts';
import { openFileWord } from './file-word-opener.ts';
import { type ConnectionOptions, withClient, withConnectionOptions } from './target-client.ts';

interface ShellOptions extends ConnectionOptions {
  readonly json?: boolean;
}

export function addShellCommand(program: Command): void {
  withConnectionOptions(
    program
      .command('shell')
      .summary('commands to a QMP server as you type them, or from standard input')
      .argument('<target>', 'path of a QMP socket, or host:port')
      .option('--json', 'one line of JSON for each reply and event'),
  ).action(shell);
}

async function shell(target: string, options: ShellOptions): Promise<void> {
  await withClient(target, options, async (client) => {
    const { stdin, stdout } = process;
    if (stdin.isTTY && stdout.isTTY) await converse(target, client, options);
    else await script(client, options);
  });
}

async function converse(target: string, client: QmpClient, { json = false }: ShellOptions): Promise<void> {
  const { stdin, stdout } = process;
  const terminal = new Terminal({ input: stdin, output: stdout, historyFile: historyFile() });
  const interpreter = new Interpreter(new CommandRunner(client, openFileWord), {
    print: (text) => terminal.print(text),
    json,
    interactive: true,
    style: () => ({ width: stdout.columns || 80, colors: !process.env['NO_COLOR'] }),
  });
  if (!json) stdout.write(`${await banner(target, client, interpreter)}\n`);
  process.exitCode = await terminal.converse(interpreter);
}

async function banner(target: string, client: QmpClient, { runner }: Interpreter): Promise<string> {
  const { qemu, package: name } = client.version;
  const commands = (await runner.schema())?.commands.size;
  const count = commands === undefined ? '' : `, ${commands} commands`;
  const version = `QEMU ${qemu.major}.${qemu.minor}.${qemu.micro}${name === '' ? '' : ` (${name})`}`;
  return `${version} at ${target}${count}.\nTab completes, help explains, Ctrl-D leaves.`;
}

async function script(client: QmpClient, { json = false }: ShellOptions): Promise<void> {
  const interpreter = new Interpreter(new CommandRunner(client, openFileWord), {
    print: (text) => process.stdout.write(`${text}\n`),
    json,
    interactive: false,
    style: () => ({ width: 100, colors: false }),
  });
  try {
    await runScript(process.stdin, interpreter);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    if (json && error.cause instanceof QmpError) {
      process.stdout.write(`${interpreter.showError(error.cause, '', 0)}\n`);
    }
    throw new CliError(error.message, { cause: error });
  }
}
