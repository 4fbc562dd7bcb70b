#!/usr/bin/env node
// fdset: the verbs. Each is one file of this folder; storage-daemon reads its own command line, since the order of its
// options has a meaning.
import { Command, CommanderError } from 'commander';

import { storageDaemonMain } from '../daemon/index.ts';
import { PACKAGE_VERSION } from '../package-version.ts';
import { addAddCommand } from './add.ts';
import { reportErrors } from './cli-error.ts';
import { addDemoCommand } from './demo.ts';
import { addExecCommand } from './exec.ts';
import { addLsCommand } from './ls.ts';
import { addReplayCommand } from './replay.ts';
import { addRmCommand } from './rm.ts';
import { addServeCommand } from './serve.ts';
import { addShellCommand } from './shell.ts';
import { addTypesCommand } from './types.ts';

const verbs = [
  addServeCommand,
  addLsCommand,
  addAddCommand,
  addRmCommand,
  addExecCommand,
  addShellCommand,
  addTypesCommand,
  addReplayCommand,
  addDemoCommand,
];

function makeProgram(): Command {
  const program = new Command('fdset')
    .description('Hand open files to QEMU and its kin, and serve disk images from a process that can open nothing.')
    .version(PACKAGE_VERSION)
    .exitOverride()
    .showHelpAfterError('(fdset --help lists the verbs)');
  for (const addVerb of verbs) addVerb(program);
  program.command('storage-daemon').summary("a storage daemon with qemu-storage-daemon's options and fd sets");
  for (const verb of program.commands) verb.exitOverride().showHelpAfterError(`(fdset ${verb.name()} --help explains)`);
  return program;
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === 'storage-daemon') process.exit(await storageDaemonMain(args.slice(1), 'fdset storage-daemon'));
  await reportErrors('fdset', async () => {
    try {
      await makeProgram().parseAsync(args, { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      process.exitCode = error.exitCode === 0 ? 0 : 2; // commander has said what is wrong
    }
  });
}

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
await main(process.argv.slice(2));
