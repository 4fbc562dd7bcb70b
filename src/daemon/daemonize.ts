// How does the daemon get into the background? `--daemonize`: the process that was started ends when the daemon is ready,
// with 0, or cannot start, with 1. Node cannot fork, so the program is started once more, with the same arguments and
// fds, in a session of its own; it says through a pipe when it is ready.
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';

import { FdsetError } from '../errors.ts';

/** Tells the program that it is the one in the background. */
const orderVariable = 'FDSET_BACKGROUND';
/** What QEMU sets: others may not use what is made. */
const UMASK = 0o027;

interface BackgroundOrder {
  /** The numbers of the fds that the user handed on. */
  readonly fds: readonly number[];
  /** Where to say that all is ready. */
  readonly statusFd: number;
}

/**
 * Starts this program again in the background and waits until it is ready. It writes its own errors to stderr, which it
 * shares until then.
 *
 * @param fds the inherited fds that it gets, under the same numbers; they stay open here
 * @returns the exit code
 */
export async function startInBackground(fds: readonly number[]): Promise<number> {
  const statusFd = Math.max(2, ...fds) + 1;
  const order: BackgroundOrder = { fds, statusFd };
  const stdio = Array.from({ length: statusFd + 1 }, (_, fd) => (fd <= 2 || fds.includes(fd) ? fd : 'ignore'));
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [orderVariable]: JSON.stringify(order) },
    stdio: [...stdio.slice(0, statusFd), 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(new FdsetError('ERR_FDSET_DAEMONIZE', `cannot daemonize: ${error.message}`, { cause: error }));
    });
  });
  child.unref();
  let word = '';
  for await (const part of child.stdio[statusFd] as Readable) word += String(part);
  return word === 'ready' ? 0 : 1;
}

/** The program's own end of it, in the background. */
export class Background {
  readonly fds: readonly number[];
  #statusFd: number | undefined;

  private constructor({ fds, statusFd }: BackgroundOrder) {
    this.fds = fds;
    this.#statusFd = statusFd;
  }

  /** Undefined in a process that was not started for the background. */
  static take(environment: NodeJS.ProcessEnv = process.env): Background | undefined {
    const text = environment[orderVariable];
    if (text === undefined) return undefined;
    delete environment[orderVariable];
    process.umask(UMASK);
    return new Background(JSON.parse(text) as BackgroundOrder);
  }

  /** Lets go of the terminal and the folder, and of the process that waits. Everything has to be set up. */
  detach(): void {
    const fd = this.#statusFd;
    if (fd === undefined) return;
    this.#statusFd = undefined;
    process.chdir('/');
    // The lowest free number is the one just closed: nothing else opens files before the first command.
    for (const standard of [0, 1, 2]) {
      closeSync(standard);
      openSync('/dev/null', 'r+');
    }
    try {
      writeSync(fd, 'ready');
    } catch {
      // Who waited has gone: the daemon stays.
    }
    closeSync(fd);
  }
}
