// fdset replay FILE TARGET: play what --record has kept to a QMP server, and say what is otherwise now.
import { statSync } from 'node:fs';
import type { Command } from 'commander';

import type { OwnedFd } from '../fds/index.ts';
import { FdsetError } from '../errors.ts';
import { type PassedFile, readRecording, type Recording } from '../recording/index.ts';
import { replay } from '../replay/index.ts';
import { CliError } from './cli-error.ts';
import { openFile } from './open-file.ts';
import { type ConnectionOptions, withClient, withConnectionOptions } from './target-client.ts';

interface ReplayOptions extends ConnectionOptions {
  readonly ignore: readonly string[];
  readonly json?: boolean;
}

export function addReplayCommand(program: Command): void {
  withConnectionOptions(program.command('replay'))
    .summary('play a recording to a QMP server, and say what is otherwise now')
    .argument('<file>', 'what --record has kept')
    .argument('<target>', 'path of a QMP socket, or host:port')
    .option('--ignore <member>', 'do not compare members of this name; may be given more than once', collect, [])
    .option('--json', 'one line of JSON instead of text')
    .action(play);
}

function collect(name: string, names: readonly string[]): readonly string[] {
  return [...names, name];
}

async function play(file: string, target: string, options: ReplayOptions): Promise<void> {
  const recording = read(file);
  const { commands, differences } = await withClient(target, options, (client) =>
    replay(recording, client, { open: openAgain, timeoutMs: options.timeout * 1000, ignore: options.ignore }),
  );
  if (options.json) process.stdout.write(`${JSON.stringify({ commands, differences })}\n`);
  else {
    for (const { line, name, what } of differences) process.stdout.write(`${file}:${line}: ${name}: ${what}\n`);
    const count = differences.length === 0 ? 'no difference' : `${differences.length} differences`;
    process.stdout.write(`${commands} commands, ${count}\n`);
  }
  if (differences.length > 0) process.exitCode = 1;
}

function read(file: string): Recording {
  try {
    return readRecording(file);
  } catch (error) {
    if (error instanceof FdsetError) throw error;
    throw new CliError(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Opens a file by its path; that it is another one than recorded is said, and no difference by itself. */
function openAgain({ path, mode, direct, type, inode }: PassedFile): OwnedFd {
  if (type === 'socket' || type === 'fifo' || path.endsWith(' (deleted)')) {
    throw new CliError(`${path}: a ${type} that was passed cannot be opened again`);
  }
  const fd = openFile(path, mode, { direct });
  if (statSync(path, { bigint: true }).ino !== BigInt(inode)) {
    process.stderr.write(`fdset: ${path} is another file than when this was recorded\n`);
  }
  return fd;
}
