// How many commands a second does a client manage, and what does one cost? Ours, Python's qemu.qmp and Go's go-qemu, in
// turn against the same servers: our monitor, and QEMU where it is installed.
//
//   npm run bench:client [-- --rounds 3 --seconds 2]
//
// Python: FDSET_QMP_PYTHONPATH names the folder with qemu/qmp (python/ of QEMU's source). Go: Debian's
// golang-github-digitalocean-go-qemu-dev and golang-go.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { machine, median, root, Server, type Startable, unpackedQemu, versionOf } from './servers.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '2' } },
});

interface Client {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

const goSources = '/usr/share/gocode';
const pythonPath = process.env['FDSET_QMP_PYTHONPATH'];
const clients: Client[] = [
  { name: 'fdset', command: [process.execPath, join(root, 'dist', 'bench', 'client-load.js')] },
];
if (pythonPath !== undefined) {
  const command = ['python3', join(root, 'bench', 'clients', 'load.py')];
  clients.push({ name: 'qemu.qmp', command, env: { PYTHONPATH: pythonPath } });
}
if (existsSync(join(goSources, 'src/github.com/digitalocean/go-qemu'))) {
  clients.push({ name: 'go-qemu', command: [buildGo()] });
}

const emulator = (program: string, ...options: string[]): Startable['command'] => {
  const machineless = ['-machine', 'none', '-nodefaults', '-display', 'none'];
  return (socket) => [program, ...options, ...machineless, '-qmp', `unix:${socket},server=on,wait=off`];
};
const servers: Startable[] = [
  {
    name: 'fdset',
    command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'monitor-server.js'), socket],
  },
];
const qemu10 = unpackedQemu('usr/bin/qemu-system-x86_64');
if (existsSync(qemu10)) {
  servers.push({ name: 'QEMU 10.0', command: emulator(qemu10, '-L', unpackedQemu('usr/share/qemu')) });
} else if (versionOf('qemu-system-x86_64') !== undefined) {
  servers.push({ name: 'QEMU', command: emulator('qemu-system-x86_64') });
}

function buildGo(): string {
  const folder = join(root, 'build', 'bench');
  const output = join(folder, 'go-qemu-load');
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOPATH: goSources, GO111MODULE: 'off' };
  execFileSync('go', ['build', '-o', output, join(root, 'bench', 'clients', 'load.go')], { stdio: 'inherit', env });
  return output;
}

interface Figures {
  readonly perSecond: number;
  readonly microseconds: number;
}

function measure({ command: [program = '', ...args], env }: Client, socket: string, test: readonly string[]): Figures {
  const [inFlight = '', kind = ''] = test;
  const output = execFileSync(program, [...args, socket, inFlight, values.seconds, kind], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  const [commands = 0, seconds = 0, cpu = 0] = output.trim().split(' ').map(Number);
  return { perSecond: commands / seconds, microseconds: (cpu / commands) * 1e6 };
}

const tests = [
  ['1', 'plain'],
  ['64', 'plain'],
  ['1', 'fd'],
  ['64', 'fd'],
] as const;

const folder = mkdtempSync(join(tmpdir(), 'fdset-bench-'));
try {
  console.log(`${machine()}; medians of ${values.rounds} rounds of ${values.seconds} s`);
  for (const [index, kind] of servers.entries()) {
    const server = await Server.start(kind, join(folder, `${index}`));
    try {
      const found = new Map<string, Figures[]>();
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const test of tests) {
          for (const client of clients) {
            const key = `${client.name} ${test.join(' ')}`;
            found.set(key, [...(found.get(key) ?? []), measure(client, server.socket, test)]);
          }
        }
      }
      print(kind.name, found);
    } finally {
      server.stop();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

function print(server: string, found: ReadonlyMap<string, readonly Figures[]>): void {
  console.log(`\nagainst ${server}: commands a second (CPU of the client for one, µs)`);
  const rows = tests.map((test) => {
    const row: Record<string, string> = { 'in flight': test[0], 'with an fd': test[1] === 'fd' ? 'every other' : '' };
    for (const { name } of clients) {
      const figures = found.get(`${name} ${test.join(' ')}`) ?? [];
      const rate = Math.round(median(figures.map(({ perSecond }) => perSecond)));
      const cost = median(figures.map(({ microseconds }) => microseconds));
      row[name] = `${rate} (${cost.toFixed(1)})`;
    }
    return row;
  });
  console.table(rows);
}
