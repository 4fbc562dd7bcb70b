// What does the starter do from the command line to the end? It carries out what needs a path or an address, starts the
// daemon in its sandbox with the fds, and stays to pass on signals and to clean up.
import { openSync, closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { FdsetError } from '../errors.ts';
import type { Background } from './daemonize.ts';
import { handOver, type HandOver } from './hand-over.ts';
import { InheritedFds } from './inherited-fds.ts';
import { type CommandLine, lastValue } from './options.ts';
import { writePidFile } from './pid-file.ts';
import type { ProgramMessages } from './program-messages.ts';
import type { SandboxMode } from './sandbox-order.ts';
import { describeSandbox } from './sandbox-report.ts';
import { startDaemon, type StartedDaemon } from './starter.ts';

/** The script of the daemon's own process, which imports nothing but this package. */
export const daemonScript = fileURLToPath(new URL('../cli/storage-daemon-main.js', import.meta.url));

export interface StarterOptions {
  readonly mode: SandboxMode;
  readonly messages: ProgramMessages;
  readonly background: Background | undefined;
}

/** @returns the exit code */
export async function runStarter(commandLine: CommandLine, options: StarterOptions): Promise<number> {
  const { messages, background } = options;
  let daemon: StartedDaemon | undefined;
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort();
    daemon?.kill('SIGTERM');
  };
  // From before the first socket is bound: what is bound is removed again.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const inherited = new InheritedFds();
  let handed: HandOver | undefined;
  let removePidFile = () => {};
  try {
    handed = await handOver(commandLine, inherited, messages, interrupted.signal);
    if (handed.answer !== undefined) {
      process.stdout.write(handed.answer.text);
      return handed.answer.exitCode;
    }
    if (interrupted.signal.aborted) return 0;
    daemon = start(commandLine, handed, options);
    inherited.close();
    handed.handedOver();
    messages.note(describeSandbox(await daemon.ready));
    const pidFile = lastValue(commandLine, 'pidfile');
    if (pidFile !== undefined) removePidFile = await writePidFile(pidFile);
    background?.detach();
    const { code, signal } = await daemon.exit;
    if (signal !== null) throw new FdsetError('ERR_FDSET_DAEMON', `the daemon was killed by ${signal}`);
    return code ?? 1;
  } catch (error) {
    daemon?.kill('SIGTERM');
    await daemon?.exit;
    if (interrupted.signal.aborted) return 0; // it was asked to end before it could do so in order
    throw error;
  } finally {
    removePidFile();
    handed?.close();
  }
}

function start(commandLine: CommandLine, handed: HandOver, { mode, background }: StarterOptions): StartedDaemon {
  const passed = commandLine.first
    .filter(({ name }) => name === 'allow-uid' || name === 'compat')
    .flatMap(({ name, value }) => [`--${name}`, value]);
  const plan = { mode, script: daemonScript, args: [...handed.args, ...passed], fds: handed.fds, stdin: handed.stdin };
  if (background === undefined) return startDaemon(plan);
  // Whoever waits for the end of our output would wait for the daemon's, too.
  const nowhere = openSync('/dev/null', 'w');
  try {
    return startDaemon({ ...plan, stdout: nowhere, stderr: nowhere });
  } finally {
    closeSync(nowhere);
  }
}
