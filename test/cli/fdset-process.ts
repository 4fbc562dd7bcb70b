// Runs `fdset` as a user would: a process of its own, what it prints, how it ends.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The compiled program. */
export const fdsetMain = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a verb to its end; 30 seconds at most. */
export function fdset(...args: string[]): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fdsetMain, ...args], {
    encoding: 'utf8',
    timeout: 30_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { code: status, stdout, stderr };
}

/** A verb that goes on running. */
export class FdsetProcess {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = '';
  stderr = '';

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [fdsetMain, ...args]);
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  /** Waits until the output matches. @throws Error where the process ends first, or after 20 seconds */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#wait(`${String(pattern)} in the output`, () => pattern.exec(this.stdout));
  }

  /** Waits until a file is there. @throws Error as `until` */
  async untilFile(path: string): Promise<void> {
    await this.#wait(path, () => existsSync(path) || null);
  }

  async #wait<T>(what: string, look: () => T | null): Promise<T> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const found = look();
      if (found !== null) return found;
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`no ${what}:\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<Result> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      await once(this.child, 'close');
    }
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }
}
