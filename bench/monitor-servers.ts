// Which servers does bench/monitor.ts compare, and how are they started, pinned and measured?
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What can be measured. */
export interface ServerKind {
  readonly name: string;
  readonly command: (socket: string) => readonly string[];
  /** Whether it speaks QMP, or only ends each message it gets with a line. */
  readonly qmp: boolean;
}

/** The checkout: this file runs from dist/. */
const root = rootFolder();

export const FDSET: ServerKind = {
  name: 'fdset',
  qmp: true,
  command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'monitor-server.js'), socket],
};

/** FDSET first, then those that are there. QEMU 10.0 is the one that scripts/fetch-qemu-10.sh unpacks. */
export function serverKinds(): ServerKind[] {
  const sockets: ServerKind = {
    name: 'sockets',
    qmp: false,
    command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'echo-server.js'), socket],
  };
  const echo: ServerKind = { name: 'C echo', qmp: false, command: (socket) => [compile('echo-server'), socket] };
  const unpacked = process.env['FDSET_QEMU_10'] ?? join(root, 'build', 'qemu-10.0');
  const emulators = [
    ['qemu-system-x86_64'],
    [join(unpacked, 'usr/bin/qemu-system-x86_64'), '-L', join(unpacked, 'usr/share/qemu')],
  ];
  return [FDSET, echo, sockets, ...emulators.flatMap(emulatorKind)];
}

function emulatorKind(emulator: readonly string[]): ServerKind[] {
  const version = versionOf(emulator[0] as string);
  if (version === undefined) return [];
  const options = '-machine none -nodefaults -display none -S -qmp'.split(' ');
  const command = (socket: string): string[] => [...emulator, ...options, `unix:${socket},server=on,wait=off`];
  return [{ name: `QEMU ${version}`, qmp: true, command }];
}

function versionOf(emulator: string): string | undefined {
  try {
    return /version (\d+\.\d+)/.exec(execFileSync(emulator, ['--version'], { encoding: 'utf8', stdio: 'pipe' }))?.[1];
  } catch {
    return undefined; // not there
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
export class Server {
  readonly kind: ServerKind;
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(kind: ServerKind, socket: string, child: ChildProcess) {
    this.kind = kind;
    this.socket = socket;
    this.#child = child;
  }

  /** With as many fds as the limit admits. */
  static async start(kind: ServerKind, socket: string): Promise<Server> {
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

  stop(): void {
    this.#child.kill();
  }
}

function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
