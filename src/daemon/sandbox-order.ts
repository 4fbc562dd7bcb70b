// What does the starter tell the daemon, and the daemon its starter? An order in the environment: which protections the
// process was born with, and what to try them with. And one line back through a pipe: ready, or the error.
import { closeSync, writeSync } from 'node:fs';

import type { SandboxReport } from './sandbox-report.ts';

/** `on`: all protections or no start. `try`: what the system has, saying what is missing. `off`: none. */
export type SandboxMode = 'off' | 'try' | 'on';

export const sandboxModes: readonly SandboxMode[] = ['off', 'try', 'on'];

/** What the starter has done and what is left to the daemon. */
export interface SandboxOrder {
  readonly mode: SandboxMode;
  /** The Landlock ABI whose rights the process was born without; 0: no domain. */
  readonly landlockAbi: number;
  /** Is the daemon to install its seccomp filter? */
  readonly seccomp: boolean;
  /** A file that everyone may read: the starter's child has opened it as the daemon's user, just before. */
  readonly probe: string;
  /** Sentences: what `try` went without, and why root stayed root. */
  readonly missing: readonly string[];
  /** The numbers of the fds that were handed on; the daemon cannot list its own, /proc being closed to it. */
  readonly fds: readonly number[];
  /** The daemon's end of the pipe to the starter. */
  readonly reportFd: number;
}

/** The daemon's word to its starter. */
export type StarterWord = { readonly ready: SandboxReport } | { readonly error: string };

/** Where the order stands in the daemon's environment. */
export const orderVariable = 'FDSET_SANDBOX';

/** Takes the order out of the environment; undefined in a process that no starter has started. */
export function takeOrder(environment: NodeJS.ProcessEnv = process.env): SandboxOrder | undefined {
  const text = environment[orderVariable];
  if (text === undefined) return undefined;
  delete environment[orderVariable];
  return JSON.parse(text) as SandboxOrder;
}

/** The daemon's end of the pipe: one word, then it is closed. */
export class StarterLink {
  #fd: number | undefined;

  /** Owns `fd` from now on. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Only the first word counts. A starter that is gone needs none. */
  tell(word: StarterWord): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    try {
      writeSync(fd, `${JSON.stringify(word)}\n`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    } finally {
      closeSync(fd);
    }
  }
}
