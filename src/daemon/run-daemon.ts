// How does a storage daemon run from its command line to its end? Options in order, then until `quit` or a signal, then
// everything is closed.
import type { Profile } from '../monitor/index.ts';
import { applyOption } from './apply-option.ts';
import type { InheritedFds } from './inherited-fds.ts';
import { type CommandLine, lastValue } from './options.ts';
import { peerFilter } from './peer-filter.ts';
import type { ProgramMessages } from './program-messages.ts';
import type { SandboxReport } from './sandbox-report.ts';
import { StorageDaemon } from './storage-daemon.ts';

/** The longest delay of a timer, in milliseconds. */
const longestDelay = 2 ** 31 - 1;

export interface RunOptions {
  /** The version of QEMU to behave as. */
  readonly profile: Profile;
  /** What holds this process, for `x-query-sandbox`. */
  readonly sandbox: SandboxReport;
  readonly inheritedFds: InheritedFds;
  readonly messages: ProgramMessages;
  /** Called when all options are carried out and every socket listens. */
  readonly onReady: () => Promise<void>;
}

/**
 * Runs a storage daemon in this process.
 *
 * @returns the exit code: 0, or that of an option that asked for help
 * @throws FdsetError with the option in front, where one cannot be carried out; everything is closed then
 */
export async function runDaemon(
  commandLine: CommandLine,
  { profile, sandbox, inheritedFds, messages, onReady }: RunOptions,
): Promise<number> {
  const accepts = peerFilter(commandLine);
  const daemonized = lastValue(commandLine, 'daemonize') !== undefined;
  let over = false;
  let end!: () => void;
  const ended = new Promise<void>((resolve) => {
    end = () => {
      over = true;
      resolve();
    };
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  // A daemon without a socket runs, too, and so does one whose first option waits for a file.
  const alive = setInterval(() => {}, longestDelay);
  const report = (message: string): void => messages.note(message);
  const daemon = new StorageDaemon({ profile, sandbox, inheritedFds, accepts, daemonized, report, onQuit: end });
  // Clients of the first monitor wait: no command comes between two options, as in qemu-storage-daemon.
  daemon.shared.dispatcher.hold();
  try {
    // One that waits for its first client is not waited for once the daemon is to end.
    for (const option of commandLine.inOrder) {
      const answer = await Promise.race([applyOption(daemon, option, messages), ended]);
      if (over) return 0;
      if (!answer) continue;
      process.stdout.write(answer.text);
      return answer.exitCode;
    }
    daemon.inheritedFds.close();
    await onReady();
    daemon.shared.dispatcher.release();
    await ended;
    return 0;
  } finally {
    await daemon.stop();
    clearInterval(alive);
    for (const signal of signals) process.off(signal, end);
  }
}
