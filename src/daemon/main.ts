// The storage daemon as a program: what its command line asks for, in this process or behind a sandbox.
//
//   --sandbox off     everything happens here
//   --sandbox on|try  this process becomes the starter: it binds the sockets, starts the daemon in its sandbox with the
//                     fds, and stays to pass on signals and to clean up
//   FDSET_SANDBOX     set by a starter: this process is the daemon in the sandbox
import { fileURLToPath } from 'node:url';

import { FdsetError } from '../errors.ts';
import { declareInheritedFds, listInheritedFds } from '../fds/index.ts';
import { type Profile, PROFILES } from '../monitor/index.ts';
import { PACKAGE_VERSION } from '../package-version.ts';
import { handOver } from './hand-over.ts';
import { InheritedFds } from './inherited-fds.ts';
import { type CommandLine, lastValue, parseCommandLine, UsageError } from './options.ts';
import { writePidFile } from './pid-file.ts';
import { runDaemon } from './run-daemon.ts';
import { type SandboxMode, sandboxModes, takeOrder } from './sandbox-order.ts';
import { describeSandbox } from './sandbox-report.ts';
import { enterSandbox } from './sandbox.ts';
import { startDaemon, type StartedDaemon } from './starter.ts';
import { storageDaemonHelp } from './help.ts';

/** The script of the daemon's own process, which imports nothing but this package. */
export const daemonScript = fileURLToPath(new URL('../cli/storage-daemon-main.js', import.meta.url));

/**
 * Runs `fdset storage-daemon` with the arguments behind the name, to its end.
 *
 * @returns the exit code
 */
export async function storageDaemonMain(args: readonly string[], program: string): Promise<number> {
  try {
    const commandLine = parseCommandLine(args);
    return await run(commandLine);
  } catch (error) {
    if (!(error instanceof FdsetError)) throw error;
    process.stderr.write(`${program}: ${error.message}\n`);
    return 1;
  }
}

async function run(commandLine: CommandLine): Promise<number> {
  if (lastValue(commandLine, 'help') !== undefined) return print(storageDaemonHelp);
  if (lastValue(commandLine, 'version') !== undefined)
    return print(`fdset-storage-daemon version ${PACKAGE_VERSION}\n`);
  if (lastValue(commandLine, 'daemonize') !== undefined) {
    throw new UsageError('--daemonize is not there yet: let a service manager or the shell put it into the background');
  }
  const order = takeOrder();
  if (order === undefined) listInheritedFds();
  else declareInheritedFds(order.fds);
  const mode = sandboxMode(commandLine);
  return order === undefined && mode !== 'off' ? runStarter(commandLine, mode) : runHere(commandLine, order);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function sandboxMode(commandLine: CommandLine): SandboxMode {
  const text = lastValue(commandLine, 'sandbox') ?? 'off';
  const mode = sandboxModes.find((known) => known === text);
  if (mode === undefined) throw new UsageError(`--sandbox ${text}: give one of ${sandboxModes.join(', ')}`);
  return mode;
}

function profileOf(commandLine: CommandLine): Profile {
  const text = lastValue(commandLine, 'compat') ?? `qemu-${PROFILES[0]!.name}`;
  const profile = PROFILES.find(({ name }) => text === `qemu-${name}`);
  const known = PROFILES.map(({ name }) => `qemu-${name}`).join(', ');
  if (profile === undefined) throw new UsageError(`--compat ${text}: give one of ${known}`);
  return profile;
}

/** The daemon itself, with or without a sandbox around it. */
async function runHere(commandLine: CommandLine, order: ReturnType<typeof takeOrder>): Promise<number> {
  const sandbox = await enterSandbox(order);
  const pidFile = lastValue(commandLine, 'pidfile');
  let removePidFile = () => {};
  try {
    await runDaemon(commandLine, {
      profile: profileOf(commandLine),
      sandbox: sandbox.report,
      inheritedFds: new InheritedFds(),
      onReady: () => {
        if (pidFile !== undefined) removePidFile = writePidFile(pidFile);
        sandbox.ready();
      },
    });
    return 0;
  } catch (error) {
    sandbox.failed(error);
    if (order === undefined) throw error;
    return 1; // the starter says why
  } finally {
    removePidFile();
  }
}

async function runStarter(commandLine: CommandLine, mode: SandboxMode): Promise<number> {
  let daemon: StartedDaemon | undefined;
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    daemon?.kill('SIGTERM');
  };
  // From before the first socket is bound: what is bound is removed again.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const inherited = new InheritedFds();
  const handed = await handOver(commandLine, inherited);
  let removePidFile = () => {};
  try {
    if (interrupted) return 0;
    const passed = commandLine.first
      .filter(({ name }) => name === 'allow-uid' || name === 'compat')
      .flatMap(({ name, value }) => [`--${name}`, value]);
    daemon = startDaemon({
      mode,
      script: daemonScript,
      args: [...handed.args, ...passed],
      fds: handed.fds,
      stdin: handed.stdin,
    });
    inherited.close();
    handed.handedOver();
    process.stderr.write(`fdset-storage-daemon: ${describeSandbox(await daemon.ready)}\n`);
    const pidFile = lastValue(commandLine, 'pidfile');
    if (pidFile !== undefined) removePidFile = writePidFile(pidFile);
    const { code, signal } = await daemon.exit;
    if (signal !== null) throw new FdsetError('ERR_FDSET_DAEMON', `the daemon was killed by ${signal}`);
    return code ?? 1;
  } catch (error) {
    daemon?.kill('SIGTERM');
    await daemon?.exit;
    if (interrupted) return 0; // it was asked to end before it could do so in order
    throw error;
  } finally {
    removePidFile();
    handed.close();
  }
}
