// How many fd commands a second does the monitor answer, beside QEMU's own and beside a C server that only echoes?
//
//   npm run bench:monitor [-- --rounds 5 --seconds 2]
//
// One connection, add-fd and remove-fd in turn, 1 and 64 in flight; each request with an fd, or only those of add-fd, as
// a client has it. The servers take turns in every round, so that what else the machine does hits all of them; the table
// has the medians. Read the ratios: figures of a shared machine mean nothing by themselves.
//
// What a ratio to the C server can be at best the column `sockets` says: Node and src/socket/ alone, without JSON and
// commands. Needs cc; without qemu-system-x86_64 that column is left out.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = rootFolder();
const DEPTHS = [1, 64];
/** Which requests carry an fd. */
const CARRIERS = ['every', 'add'];
/** The least that fdset shall do against the others, by depth. */
const BUDGETS: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  QEMU: { 1: 15, 64: 75 },
  'C echo': { 1: 0.65, 64: 0.75 },
};

interface Server {
  readonly name: string;
  readonly command: (socket: string) => string[];
  /** Whether it speaks QMP, or only ends each message it gets with a line. */
  readonly qmp: boolean;
}

const FDSET: Server = {
  name: 'fdset',
  qmp: true,
  command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'monitor-server.js'), socket],
};
const SOCKETS: Server = {
  name: 'sockets',
  qmp: false,
  command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'echo-server.js'), socket],
};
const QEMU: Server = {
  name: 'QEMU',
  qmp: true,
  command: (socket) =>
    `qemu-system-x86_64 -machine none -nodefaults -display none -qmp unix:${socket},server=on,wait=off`.split(' '),
};

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const tools = join(root, 'build', 'bench');
const load = compile('qmp-load');
const ECHO: Server = { name: 'C echo', qmp: false, command: (socket) => [compile('echo-server'), socket] };
const servers = [FDSET, ECHO, SOCKETS, ...(isInstalled('qemu-system-x86_64') ? [QEMU] : [])];

interface Test {
  readonly depth: number;
  readonly carriers: string;
}
const tests: readonly Test[] = CARRIERS.flatMap((carriers) => DEPTHS.map((depth) => ({ depth, carriers })));

const dir = mkdtempSync(join(tmpdir(), 'fdset-bench-'));
const running = servers.map((server, index) => ({ server, socket: join(dir, `${index}`) }));
const children: ChildProcess[] = [];
try {
  for (const { server, socket } of running) children.push(await start(server, socket));
  const results = new Map<string, number[]>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const test of tests) {
      for (const { server, socket } of running) {
        const key = `${server.name} ${test.carriers} ${test.depth}`;
        results.set(key, [...(results.get(key) ?? []), measure(server, socket, test)]);
      }
    }
  }
  print(results);
} finally {
  for (const child of children) child.kill();
  rmSync(dir, { recursive: true });
}

function compile(name: string): string {
  const output = join(tools, name);
  mkdirSync(tools, { recursive: true });
  const source = join(root, 'bench', 'native', `${name}.c`);
  execFileSync('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', output, source], { stdio: 'inherit' });
  return output;
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function start(server: Server, socket: string): Promise<ChildProcess> {
  const [program = '', ...args] = server.command(socket);
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${server.name} has not started`);
  });
  const listens = (async (): Promise<void> => {
    while (!existsSync(socket)) await sleep(10);
    await sleep(300); // QEMU greets twice who connects while its monitor moves to its thread
  })();
  await Promise.race([failed, listens]);
  failed.catch(() => undefined);
  return child;
}

/** Commands a second. */
function measure(server: Server, socket: string, { depth, carriers }: Test): number {
  const args = [socket, String(depth), values.seconds, server.qmp ? 'qmp' : 'echo', carriers];
  const [answered = '', seconds = ''] = execFileSync(load, args, { encoding: 'utf8' }).split(' ');
  return Number(answered) / Number(seconds);
}

function print(results: ReadonlyMap<string, readonly number[]>): void {
  const median = (name: string, { depth, carriers }: Test): number => {
    const sorted = [...(results.get(`${name} ${carriers} ${depth}`) ?? [])].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  const rows = tests.map((test) => {
    const row: Record<string, string | number> = { 'in flight': test.depth, 'fd with': test.carriers };
    for (const { name } of servers) row[name] = Math.round(median(name, test));
    for (const { name } of servers.slice(1)) {
      const ratio = (median(FDSET.name, test) / median(name, test)).toFixed(2);
      const budget = BUDGETS[name]?.[test.depth];
      row[`fdset : ${name}`] = budget === undefined ? ratio : `${ratio} (budget ${budget})`;
    }
    return row;
  });
  console.log(`add-fd + remove-fd, commands a second, median of ${values.rounds} rounds of ${values.seconds} s`);
  console.table(rows);
}

/** The checkout: this file runs from dist/. */
function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
