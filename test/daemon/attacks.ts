// What would somebody try who has taken over the daemon? Each attack answers `done`, or the errno that stopped it.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { O, SystemError, close, open as openInPool } from '../../src/addon/index.ts';
import { judgedCalls, refusedCalls, type CallNumbers } from '../../src/daemon/refused-calls.ts';

export type Outcome = string;
export type Attacks = Record<string, () => Outcome | Promise<Outcome>>;

/** What test/daemon/raw-syscall.c exports. */
interface RawSyscalls {
  syscall(number: number, ...args: (number | Uint8Array)[]): number;
  fork(): number;
}

const here = dirname(fileURLToPath(import.meta.url));
export const rawSyscallAddon = join(here, 'raw-syscall.node');

const pathOnly = 0o10000000;

export async function outcomeOf(attempt: () => unknown): Promise<Outcome> {
  try {
    await attempt();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function attempt(action: () => unknown): () => Promise<Outcome> {
  return () => outcomeOf(action);
}

/** Attacks on a folder of the attacker's own; see `makeVictims` for what lies in it. */
export function fileAttacks(folder: string): Attacks {
  const at = (name: string): string => join(folder, name);
  const open = (name: string, flags: number | string) => attempt(() => fs.closeSync(fs.openSync(at(name), flags)));
  return {
    'open for reading': open('read', 'r'),
    'open for writing': open('write', 'r+'),
    'open as a path': open('read', pathOnly),
    'open a folder': attempt(() => fs.readdirSync(folder)),
    'open what everyone may read': attempt(() => fs.closeSync(fs.openSync('/etc/passwd', 'r'))),
    'create a file': open('created', 'wx'),
    truncate: attempt(() => fs.truncateSync(at('truncate'), 0)),
    chmod: attempt(() => fs.chmodSync(at('chmod'), 0o600)),
    utimes: attempt(() => fs.utimesSync(at('utimes'), 1, 1)),
    rename: attempt(() => fs.renameSync(at('rename'), at('renamed'))),
    link: attempt(() => fs.linkSync(at('read'), at('linked'))),
    symlink: attempt(() => fs.symlinkSync('x', at('symlinked'))),
    unlink: attempt(() => fs.unlinkSync(at('unlink'))),
    mkdir: attempt(() => fs.mkdirSync(at('made'))),
    chdir: attempt(() => process.chdir(folder)),
    'execute a program': attempt(() => {
      const { error } = spawnSync('/bin/true', { stdio: 'ignore' });
      if (error !== undefined) throw error;
    }),
    'load a library': attempt(() => createRequire(import.meta.url)(at('library.node'))),
    'import a module': () => importModule(at('module.mjs')),
    'connect to a path': () =>
      new Promise((resolve) => {
        const socket = connect(at('socket'), () => {
          socket.destroy();
          resolve('done');
        });
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? String(error)));
      }),
    'listen on a path': () => tryListen({ path: at('listening') }),
    'listen on TCP': () => tryListen({ host: '127.0.0.1', port: 0 }),
    'signal the starter': attempt(() => process.kill(process.ppid, 0)),
  };
}

function importModule(path: string): Promise<Outcome> {
  return import(path).then(
    () => 'done',
    (error: NodeJS.ErrnoException) => error.code ?? String(error),
  );
}

function tryListen(where: { path: string } | { host: string; port: number }): Promise<Outcome> {
  return new Promise((resolve) => {
    const server = createServer()
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? String(error)))
      .listen(where, () => server.close(() => resolve('done')));
  });
}

/** The same through libuv's pool. */
export function poolAttacks(folder: string): Attacks {
  const at = (name: string): string => join(folder, name);
  return {
    'pool: open for reading': attempt(async () => (await fs.promises.open(at('read'), 'r')).close()),
    'pool: open for writing': attempt(async () => (await fs.promises.open(at('write'), 'r+')).close()),
    'pool: open as a path': attempt(async () => (await fs.promises.open(at('read'), pathOnly)).close()),
    'pool: create a file': attempt(async () => (await fs.promises.open(at('created by the pool'), 'wx')).close()),
    'pool: chmod': attempt(() => fs.promises.chmod(at('chmod'), 0o600)),
    'pool: unlink': attempt(() => fs.promises.unlink(at('unlink in the pool'))),
  };
}

/** The same through the pool of our own. */
export function ioPoolAttacks(folder: string): Attacks {
  const open = (name: string, flags: number) => async (): Promise<Outcome> => {
    try {
      await close(await openInPool(join(folder, name), flags, 0o600));
      return 'done';
    } catch (error) {
      return error instanceof SystemError ? error.errnoName : String(error);
    }
  };
  return {
    'io pool: open for reading': open('read', O.O_RDONLY),
    'io pool: open for writing': open('write', O.O_RDWR),
    'io pool: open as a path': open('read', O.O_PATH),
    'io pool: create a file': open('created by the io pool', O.O_WRONLY | O.O_CREAT | O.O_EXCL),
  };
}

/** Attacks that Node has no function for. None of them harms where it succeeds. */
export function rawAttacks(): Attacks {
  const { call, addon } = rawSyscalls();
  const text = (string: string): Uint8Array => Buffer.from(`${string}\0`);
  const currentFolder = -100;
  const openHow = Buffer.alloc(24); // all zero: O_RDONLY
  const [unixFamily, stream, datagram] = [1, 1, 2];
  return {
    openat2: () => call(refusedCalls, 'openat2', currentFolder, text('/etc/passwd'), openHow, 24),
    // PTRACE_SEIZE does not stop the starter, and ends with this process.
    ptrace: () => call(refusedCalls, 'ptrace', 0x4206, process.ppid, 0, 0),
    process_vm_readv: () => call(refusedCalls, 'process_vm_readv', process.ppid, 0, 0, 0, 0, 0),
    pidfd_open: () => call(refusedCalls, 'pidfd_open', process.ppid, 0),
    socket: () => call(refusedCalls, 'socket', unixFamily, datagram, 0),
    'a pair of datagram sockets': () => call(judgedCalls, 'socketpair', unixFamily, datagram, 0, Buffer.alloc(8)),
    'a pair of stream sockets (allowed)': () => call(judgedCalls, 'socketpair', unixFamily, stream, 0, Buffer.alloc(8)),
    io_uring_setup: () => call(refusedCalls, 'io_uring_setup', 8, Buffer.alloc(120)),
    'limits of the starter': () => call(judgedCalls, 'prlimit64', process.ppid, 7, 0, Buffer.alloc(16)),
    'own limits (allowed)': () => call(judgedCalls, 'prlimit64', 0, 7, 0, Buffer.alloc(16)),
    'let others trace me': () => call(judgedCalls, 'prctl', 4, 1, 0, 0, 0),
    'survive the starter': () => call(judgedCalls, 'prctl', 1, 0, 0, 0, 0),
    'shared memory': () => call(refusedCalls, 'shmget', 0, 4096, 0o600),
    'a new process': () => nameOf(addon.fork()),
    'an x32 call': () => nameOf(addon.syscall(0x40000000 + 39)),
    'an unknown call': () => nameOf(addon.syscall(999)),
  };
}

/** Every call of the lists, with arguments that mean nothing. Only for a place where none goes through. */
export function everyRefusedCall(): Attacks {
  const { call } = rawSyscalls();
  const possible = Object.keys(refusedCalls).filter((name) => numberOf(refusedCalls[name]!) >= 0);
  return Object.fromEntries(possible.map((name) => [name, () => call(refusedCalls, name, -1, -1, -1, -1, -1, -1)]));
}

function numberOf([x64, arm64]: CallNumbers): number {
  return process.arch === 'x64' ? x64 : arm64;
}

function rawSyscalls() {
  const addon = createRequire(import.meta.url)(rawSyscallAddon) as RawSyscalls;
  const call = <T extends Record<string, CallNumbers>>(table: T, name: keyof T, ...args: (number | Uint8Array)[]) =>
    nameOf(addon.syscall(numberOf(table[name]!), ...args));
  return { call, addon };
}

const errnoNames = new Map([
  [1, 'EPERM'],
  [13, 'EACCES'],
  [38, 'ENOSYS'],
]);

function nameOf(result: number): Outcome {
  return result >= 0 ? 'done' : (errnoNames.get(-result) ?? `errno ${-result}`);
}

/** Fills a folder with what the attacks want to reach; everything belongs to this user. */
export function makeVictims(folder: string): void {
  const names = ['read', 'write', 'truncate', 'chmod', 'utimes', 'rename', 'unlink', 'unlink in the pool'];
  for (const name of names) fs.writeFileSync(join(folder, name), 'victim', { mode: 0o666 });
  fs.writeFileSync(join(folder, 'module.mjs'), 'export {};');
  fs.copyFileSync(rawSyscallAddon, join(folder, 'library.node'));
}

/** Runs attacks one after the other. */
export async function runAttacks(attacks: Attacks): Promise<Record<string, Outcome>> {
  const outcomes: Record<string, Outcome> = {};
  for (const [name, attack] of Object.entries(attacks)) outcomes[name] = await attack();
  return outcomes;
}
