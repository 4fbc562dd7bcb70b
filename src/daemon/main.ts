// The storage daemon as a program: what its command line asks for, in this process or behind a sandbox.
//
//   --sandbox off      everything happens here
//   --sandbox on|try   this process becomes the starter: run-starter.ts
//   --daemonize        this process starts the program again in the background and waits: daemonize.ts
//   FDSET_SANDBOX      set by a starter: this process is the daemon in the sandbox
//   FDSET_BACKGROUND   set by a process that waits: this one is in the background
import { FdsetError } from '../errors.ts';
import { declareInheritedFds, listInheritedFds } from '../fds/index.ts';
import { type Profile, PROFILES } from '../monitor/index.ts';
import { Background, startInBackground } from './daemonize.ts';
import { storageDaemonHelp } from './help.ts';
import { InheritedFds } from './inherited-fds.ts';
import { type CommandLine, lastValue, parseCommandLine, UsageError } from './options.ts';
import { writePidFile } from './pid-file.ts';
import { ProgramMessages } from './program-messages.ts';
import { runDaemon } from './run-daemon.ts';
import { runStarter } from './run-starter.ts';
import { type SandboxMode, sandboxModes, type SandboxOrder, takeOrder } from './sandbox-order.ts';
import { enterSandbox } from './sandbox.ts';

/**
 * Runs `fdset storage-daemon` with the arguments behind the name, to its end.
 *
 * @param program as it was called, for messages
 * @returns the exit code
 */
export async function storageDaemonMain(args: readonly string[], program: string): Promise<number> {
  const messages = new ProgramMessages(program);
  try {
    const commandLine = parseCommandLine(args);
    if (commandLine.asked === 'help') return print(storageDaemonHelp(program));
    const profile = profileOf(commandLine);
    if (commandLine.asked === 'version') return print(versionText(program, profile));
    return await run(commandLine, profile, messages);
  } catch (error) {
    if (!(error instanceof FdsetError)) throw error;
    messages.error(error);
    return 1;
  }
}

async function run(commandLine: CommandLine, profile: Profile, messages: ProgramMessages): Promise<number> {
  const mode = sandboxMode(commandLine);
  const order = takeOrder();
  const background = Background.take();
  const declared = order?.fds ?? background?.fds;
  if (declared === undefined) listInheritedFds();
  else declareInheritedFds(declared);
  if (background === undefined && lastValue(commandLine, 'daemonize') !== undefined) {
    return startInBackground(listInheritedFds());
  }
  if (order === undefined && mode !== 'off') return runStarter(commandLine, { mode, messages, background });
  return runHere(commandLine, { order, profile, messages, background });
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** In the form of QEMU's programs: programs that start this one read the version from it. */
function versionText(program: string, { version }: Profile): string {
  const { major, minor, micro } = version.qemu;
  return `${program} version ${major}.${minor}.${micro} (${version.package})\n`;
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

interface Surroundings {
  readonly order: SandboxOrder | undefined;
  readonly profile: Profile;
  readonly messages: ProgramMessages;
  readonly background: Background | undefined;
}

/** The daemon itself, with or without a sandbox around it. */
async function runHere(commandLine: CommandLine, surroundings: Surroundings): Promise<number> {
  const { order, profile, messages, background } = surroundings;
  const sandbox = await enterSandbox(order);
  const pidFile = lastValue(commandLine, 'pidfile');
  let removePidFile = () => {};
  try {
    return await runDaemon(commandLine, {
      profile,
      messages,
      sandbox: sandbox.report,
      inheritedFds: new InheritedFds(),
      onReady: async () => {
        if (pidFile !== undefined) removePidFile = await writePidFile(pidFile);
        background?.detach();
        sandbox.ready();
      },
    });
  } catch (error) {
    sandbox.failed(error);
    if (order === undefined) throw error;
    return 1; // the starter says why
  } finally {
    removePidFile();
  }
}
