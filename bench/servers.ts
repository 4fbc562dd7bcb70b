// How does a benchmark start, pin and measure a server, and where are the programs it needs?
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The checkout: this file runs from dist/. */
export const root = rootFolder();

/** A server as it can be started: it listens on the socket soon. */
export interface Startable {
  readonly name: string;
  readonly command: (socket: string) => readonly string[];
}

/** What every benchmark says first. */
export function machine(): string {
  return `${cpus()[0]?.model}, ${availableParallelism()} CPUs, Linux ${release()}, Node ${process.versions.node}`;
}

/** The middle one; NaN of none. */
export function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

/** A program of the QEMU that scripts/fetch-qemu-10.sh has unpacked. */
export function unpackedQemu(path: string): string {
  return join(process.env['FDSET_QEMU_10'] ?? join(root, 'build', 'qemu-10.0'), path);
}

/** The major and minor version of a program as `--version` prints it; undefined where it is not there. */
export function versionOf(program: string, pattern = /version (\d+\.\d+)/): string | undefined {
  try {
    return pattern.exec(execFileSync(program, ['--version'], { encoding: 'utf8', stdio: 'pipe' }))?.[1];
  } catch {
    return undefined;
  }
}

/** Compiles a program of bench/native/ and says where it is. */
export function compile(name: string): string {
  const folder = join(root, 'build', 'bench');
  const output = join(folder, name);
  mkdirSync(folder, { recursive: true });
  const source = join(root, 'bench', 'native', `${name}.c`);
  execFileSync('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', output, source], { stdio: 'inherit' });
  return output;
}

/** A server that listens. */
export class Server<K extends Startable = Startable> {
  readonly kind: K;
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(kind: K, socket: string, child: ChildProcess) {
    this.kind = kind;
    this.socket = socket;
    this.#child = child;
  }

  /** With as many fds as the limit admits. */
  static async start<K extends Startable>(kind: K, socket: string): Promise<Server<K>> {
    const shell = ['-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'bash', ...kind.command(socket)];
    const child = spawn('bash', shell, { stdio: ['ignore', 'inherit', 'ignore'] });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`${kind.name} has not started`);
    });
    const listens = (async (): Promise<void> => {
      while (!existsSync(socket)) await sleep(10);
      await sleep(300); // QEMU greets twice who connects while its monitor moves to its thread
    })();
    await Promise.race([failed, listens]);
    failed.catch(() => undefined);
    return new Server(kind, socket, child);
  }

  /** Lets all threads run on these CPUs only (taskset's syntax). */
  pin(cpus: string): void {
    execFileSync('taskset', ['-a', '-c', '-p', cpus, String(this.#child.pid)], { stdio: 'ignore' });
  }

  /** Processor time so far, in microseconds; the kernel counts in steps of 10,000. */
  get processorTime(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  }

  /** Resident memory now, in KiB. */
  get residentMemory(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'latin1'))?.[1]);
  }

  stop(): void {
    this.#child.kill();
  }
}

function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
