// How is a server started for a scenario? A fresh process in a fresh folder with the files, fds and monitors that the
// scenario asks for.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientFds, type Listen } from './fd-spec.ts';
import type { FileSpec, ScenarioHeader } from './scenario.ts';

const START_TIMEOUT = 30_000;
const STOP_TIMEOUT = 5_000;
const FIRST_INHERITED = 3;

export class ServerUnderTest {
  readonly dir: string;
  readonly fds: ClientFds;
  /** The path of each monitor's socket. */
  readonly sockets: readonly string[];
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(dir: string, fds: ClientFds, sockets: readonly string[], child: ChildProcess) {
    this.dir = dir;
    this.fds = fds;
    this.sockets = sockets;
    this.#process = child;
    this.#exited = once(child, 'exit');
  }

  /** Starts `command` with the options of the scenario; resolves once every monitor's socket listens. */
  static async start(header: ScenarioHeader, command: readonly string[], listen: Listen): Promise<ServerUnderTest> {
    const dir = mkdtempSync(join(tmpdir(), 'qmp-'));
    const fds = new ClientFds(dir, listen);
    for (const [name, file] of Object.entries(header.files ?? {})) makeFile(dir, name, file);
    const inherited = (header['inherit-fds'] ?? []).map((spec) => fds.open(spec));
    const sockets = Array.from({ length: header.monitors ?? 1 }, (_, index) => join(dir, `qmp${index}`));
    const log = openSync(join(dir, 'server.log'), 'w');
    const [program = '', ...rest] = command;
    const child = spawn(program, [...rest, ...monitorOptions(header, sockets), ...ownOptions(header, dir)], {
      cwd: dir,
      stdio: ['ignore', log, log, ...inherited.map(({ fd }) => fd)],
    });
    for (const fd of [log, ...inherited.flatMap(({ extra }) => extra)]) closeSync(fd);
    const server = new ServerUnderTest(dir, fds, sockets, child);
    await server.#ready();
    return server;
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT;
    while (!areListening(this.sockets)) {
      if (this.#process.exitCode !== null || Date.now() > deadline) {
        const { exitCode } = this.#process;
        const log = this.log();
        await this.stop();
        throw new Error(`the server did not start (exit status ${exitCode}): ${log}`);
      }
      await sleep(10);
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What the server has printed. */
  log(): string {
    return readFileSync(join(this.dir, 'server.log'), 'utf8');
  }

  signal(signal: number): void {
    this.#process.kill(signal);
  }

  /** The exit status, or null when it has not exited in time. */
  async exitStatus(timeout: number): Promise<number | null> {
    await Promise.race([this.#exited, sleep(timeout, undefined, { ref: false })]);
    return this.#process.exitCode;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const killer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT);
      this.#process.kill();
      await this.#exited;
      clearTimeout(killer);
    }
    this.fds.closeAll();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A socket's file is there before it listens, so the kernel's table of Unix sockets is asked (flag __SO_ACCEPTCON). */
function areListening(paths: readonly string[]): boolean {
  const listening = new Set<string>();
  for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
    const [, , , flags, , , , path] = line.split(/ +/);
    if (flags === '00010000' && path !== undefined) listening.add(path);
  }
  return paths.every((path) => listening.has(path));
}

/** The options that make the monitors: an emulator's have one dash. */
function monitorOptions(header: ScenarioHeader, sockets: readonly string[]): string[] {
  const extra = header['monitor-options'] ?? '';
  return sockets.flatMap((path, index) => {
    const chardev = `socket,id=c${index},path=${path},server=on,wait=off`;
    return header.server === 'system'
      ? ['-chardev', chardev, '-mon', `chardev=c${index},mode=control${extra}`]
      : ['--chardev', chardev, '--monitor', `chardev=c${index}${extra}`];
  });
}

function ownOptions(header: ScenarioHeader, dir: string): string[] {
  return (header.args ?? []).map((option) =>
    option
      .replaceAll('${dir}', dir)
      .replaceAll(/\$\{inherit:(\d+)\}/g, (_, index: string) => String(FIRST_INHERITED + Number(index))),
  );
}

function makeFile(dir: string, name: string, file: FileSpec): void {
  const path = join(dir, name);
  switch (file.format ?? 'raw') {
    case 'dir':
      mkdirSync(path);
      break;
    case 'fifo':
      execFileSync('mkfifo', [path]);
      break;
    case 'text':
      writeFileSync(path, file.text ?? '');
      break;
    case 'raw':
      writeFileSync(path, file.fill === undefined ? '' : Buffer.alloc(file.size ?? 0, file.fill));
      truncateSync(path, file.size ?? 0);
      break;
    default:
      makeImage(dir, name, file);
  }
  if (file.mode !== undefined) chmodSync(path, Number.parseInt(file.mode, 8));
}

function makeImage(dir: string, name: string, file: FileSpec): void {
  const backing = file.backing === undefined ? [] : ['-b', file.backing, '-F', file['backing-format'] ?? 'raw'];
  const options = file.options === undefined ? [] : ['-o', file.options];
  const size = file.size === undefined ? [] : [String(file.size)];
  const args = ['create', '-q', '-f', file.format ?? '', ...backing, ...options, name, ...size];
  execFileSync('qemu-img', args, { cwd: dir });
}

/** Whether a scenario can be set up on this machine; else why not. */
export function missingProgram(header: ScenarioHeader): string | undefined {
  if (!Object.values(header.files ?? {}).some(({ format }) => format === 'qcow2')) return undefined;
  try {
    execFileSync('qemu-img', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'qemu-img is not installed, and makes the image files of this scenario';
  }
}
