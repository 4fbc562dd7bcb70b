// The two sides: real QEMU and ours, each a process of its own with some monitors on Unix sockets.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { QemuVersion } from '../../qemu-versions.ts';
import { PassedFiles } from './files.ts';
import { MONITORS, PRETTY } from './script.ts';

/** How a server is started, given the paths that its monitors listen on. */
export interface ServerProgram {
  readonly name: string;
  command(sockets: readonly string[]): readonly string[];
  /** It warns, on stderr, of much that scripts do. */
  readonly warns?: boolean;
  /** Milliseconds that it needs after its sockets are there. */
  readonly settles?: number;
}

/** The emulator, running, without a machine. */
export function qemu(version: QemuVersion): ServerProgram {
  return {
    name: `QEMU ${version.name}`,
    command: (sockets) => [
      ...version.command('qemu-system-x86_64'),
      '-machine',
      'none',
      '-nodefaults',
      '-display',
      'none',
      ...sockets.flatMap((path, monitor) => [
        '-chardev',
        `socket,id=c${monitor},path=${path},server=on,wait=off`,
        '-mon',
        `chardev=c${monitor},mode=control,pretty=${monitor === PRETTY ? 'on' : 'off'}`,
      ]),
    ],
    // A client that comes while a monitor is being moved to its thread gets two greetings.
    settles: 400,
  };
}

/** Our storage daemon, as that QEMU. */
export function fdset(version: QemuVersion): ServerProgram {
  return ours('fdset', '../../../src/cli/storage-daemon-main.js', (path, monitor) => [
    ...(monitor === 0 ? [`--compat=qemu-${version.name}`] : []),
    `--chardev=socket,id=c${monitor},path=${path},server=on,wait=off`,
    `--monitor=c${monitor},pretty=${monitor === PRETTY ? 'on' : 'off'}`,
  ]);
}

/** Our monitor with a fault: what it is called in faulty-monitor.ts. */
export function faulty(fault: string): ServerProgram {
  return ours(fault, './faulty-monitor.js', (path, monitor) => (monitor === 0 ? [fault, path] : [path]));
}

function ours(name: string, program: string, args: (path: string, monitor: number) => string[]): ServerProgram {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return { name, warns: true, command: (sockets) => [process.execPath, path, ...sockets.flatMap(args)] };
}

/** A running server with the files to pass to it. */
export class Server {
  readonly name: string;
  readonly files: PassedFiles;
  readonly #program: ServerProgram;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #starts = 0;
  #heldAtStart = new Map<string, number>();

  private constructor(program: ServerProgram, folder: string) {
    this.name = program.name;
    this.#program = program;
    this.#folder = mkdtempSync(join(folder, 'server-'));
    this.files = new PassedFiles(folder);
  }

  /** @param folder where the files to pass are; the sockets come into a folder below it */
  static async start(program: ServerProgram, folder: string): Promise<Server> {
    const server = new Server(program, folder);
    await server.#start();
    return server;
  }

  /** The socket of a monitor. */
  path(monitor: number): string {
    return join(this.#folder, `${this.#starts}-${monitor}`);
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** What the process has open of the passed files, beyond what it had at the start. */
  held(): string[] {
    const held = this.files.held(this.pid);
    return [...held]
      .map(([file, count]) => ({ file, count: count - (this.#heldAtStart.get(file) ?? 0) }))
      .filter(({ count }) => count !== 0)
      .map(({ file, count }) => `${file} x${count}`)
      .sort();
  }

  async #start(): Promise<void> {
    this.#starts++;
    const sockets = Array.from({ length: MONITORS }, (_, monitor) => this.path(monitor));
    const [program, ...args] = this.#program.command(sockets);
    const child = spawn(program!, args, {
      stdio: ['ignore', 'ignore', this.#program.warns === true ? 'ignore' : 'inherit'],
    });
    this.#process = child;
    const deadline = Date.now() + 20_000;
    while (!sockets.every((path) => existsSync(path))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${this.name} did not start`);
      await sleep(20);
    }
    await sleep(this.#program.settles ?? 0);
    this.forgiveLeaks();
  }

  /** Takes what is open now for what is open at the start. */
  forgiveLeaks(): void {
    this.#heldAtStart = this.files.held(this.pid);
  }

  async restart(): Promise<void> {
    await this.#kill();
    await this.#start();
  }

  async #kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }

  async end(): Promise<void> {
    await this.#kill();
    this.files.close();
    rmSync(this.#folder, { recursive: true });
  }
}
