// How many fd commands a second does the monitor answer, beside QEMU's own and beside a C server that only echoes?
//
//   npm run bench:monitor [-- --rounds 5 --seconds 2]
//
// One connection, add-fd and remove-fd in turn, each add-fd with an fd, 1 and 64 in flight. The servers take turns in
// every round, so that what else the machine does hits all of them; the table has the medians. Read the ratios: figures
// of a shared machine mean nothing by themselves. Needs cc; without qemu-system-x86_64 that column is left out.
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
/** What docs and CI hold: ratios at these depths. */
const BUDGETS: Readonly<Record<string, readonly number[]>> = { QEMU: [15, 75], 'C echo': [0.65, 0.75] };

interface Server {
  readonly name: string;
  readonly command: (socket: string) => string[];
  /** Whether it speaks QMP, or only ends each message it gets with a line. */
  readonly qmp: boolean;
}

const FDSET: Server = {
  name: 'fdset',
  qmp: true,
  command: (socket) => [
    process.execPath,
    join(root, 'dist', 'src', 'cli', 'storage-daemon-main.js'),
    '--chardev',
    `socket,id=c0,path=${socket},server=on,wait=off`,
    '--monitor',
    'chardev=c0',
  ],
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
const servers = [FDSET, ECHO, ...(isInstalled('qemu-system-x86_64') ? [QEMU] : [])];

const dir = mkdtempSync(join(tmpdir(), 'fdset-bench-'));
const running = servers.map((server, index) => ({ server, socket: join(dir, `${index}`) }));
const children: ChildProcess[] = [];
try {
  for (const { server, socket } of running) children.push(await start(server, socket));
  const results = new Map<string, number[]>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const depth of DEPTHS) {
      for (const { server, socket } of running) {
        const key = `${server.name}/${depth}`;
        results.set(key, [...(results.get(key) ?? []), measure(server, socket, depth)]);
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
function measure(server: Server, socket: string, depth: number): number {
  const args = [socket, String(depth), values.seconds, ...(server.qmp ? [] : ['echo'])];
  const [answered = '', seconds = ''] = execFileSync(load, args, { encoding: 'utf8' }).split(' ');
  return Number(answered) / Number(seconds);
}

function print(results: ReadonlyMap<string, readonly number[]>): void {
  const median = (name: string, depth: number): number => {
    const sorted = [...(results.get(`${name}/${depth}`) ?? [])].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  console.log(`add-fd + remove-fd, commands a second, median of ${values.rounds} rounds of ${values.seconds} s`);
  console.table(
    DEPTHS.map((depth, index) => {
      const row: Record<string, string | number> = { 'in flight': depth };
      for (const { name } of servers) row[name] = Math.round(median(name, depth));
      for (const { name } of servers.slice(1)) {
        const ratio = median(FDSET.name, depth) / median(name, depth);
        row[`fdset : ${name}`] = `${ratio.toFixed(2)} (budget ${BUDGETS[name]?.[index]})`;
      }
      return row;
    }),
  );
}

/** The checkout: this file runs from dist/. */
function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
