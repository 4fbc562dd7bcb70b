// How fast is an image served over NBD, beside qemu-storage-daemon, qemu-nbd and nbdkit?
//
//   npm run bench:nbd [-- --rounds 3 --seconds 1 --size 1024 --folder DIR --only TEXT --json]
//
// It makes an image of --size MiB in --folder (default: the temporary folder), lets every server export it on a Unix
// socket, and runs each test on all of them in turn, round after round; the tables have the medians. The load is
// bench/native/nbd-load.c, which compares every byte that it reads, and nbdcopy and fio where they are installed.
// "cold" tests drop the image from the page cache before each run; for the others it is read once before, and what is
// cached then is printed (fincore). Nothing is pinned. A server or program that is not there is left out.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, copyFileSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { type ImageServer, imageServers } from './nbd-servers.ts';
import { compile, machine, median, Server } from './servers.ts';

/** Where an image lies, or what it is like. */
type ImageKind = 'disk' | 'tmpfs' | 'hole';

interface Test {
  readonly name: string;
  readonly image: ImageKind;
  readonly unit: 'requests/s' | 'MB/s';
  /** Runs it; undefined where a program for it is missing. */
  readonly run: (socket: string) => Measured | undefined;
  readonly cold?: boolean;
}

interface Measured {
  readonly rate: number;
  readonly requests: number;
}

interface Result {
  readonly rates: number[];
  /** Microseconds of the server's processor time for a request. */
  readonly costs: number[];
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
    size: { type: 'string', default: '1024' },
    folder: { type: 'string', default: tmpdir() },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});

const MIB = 1 << 20;
const HOLE_SIZE = 4096 * MIB;
const IDLE_CONNECTIONS = 256;
const load = compile('nbd-load');

const ALL_TESTS: readonly Test[] = [
  random('random read 4k, 1 in flight', 'read', 4096, 1, 1),
  random('random read 4k, 32 in flight', 'read', 4096, 32, 1),
  random('random read 4k, 4 connections with 16', 'read', 4096, 16, 4),
  random('random read 4k, 16 connections with 4', 'read', 4096, 4, 16),
  random('random write 4k, 1 in flight', 'write', 4096, 1, 1),
  random('random write 4k, 32 in flight', 'write', 4096, 32, 1),
  random('7 reads to 3 writes 4k, 32 in flight', 'mixed', 4096, 32, 1),
  random('read 64k, 8 in flight', 'read', 65536, 8, 1),
  random('write 64k, 8 in flight', 'write', 65536, 8, 1),
  random('read 1M, 4 in flight', 'read', MIB, 4, 1),
  random('write 1M, 4 in flight', 'write', MIB, 4, 1),
  random('flush with nothing to write, 1 in flight', 'flush', 8, 1, 1),
  { ...random('cold random read 4k, 32 in flight', 'read', 4096, 32, 1), cold: true },
  { ...random('random read 4k on tmpfs, 32 in flight', 'read', 4096, 32, 1), image: 'tmpfs' },
  { ...random('random write 4k on tmpfs, 32 in flight', 'write', 4096, 32, 1), image: 'tmpfs' },
  {
    name: 'nbdcopy to null:',
    image: 'disk',
    unit: 'MB/s',
    run: (socket) => nbdcopy(socket, Number(values.size) * MIB),
  },
  { name: 'nbdcopy of a hole of 4 GiB', image: 'hole', unit: 'MB/s', run: (socket) => nbdcopy(socket, HOLE_SIZE) },
  { name: 'fio random read 4k, 32 in flight', image: 'disk', unit: 'requests/s', run: fio },
];
const TESTS = ALL_TESTS.filter(({ name }) => name.includes(values.only));

const folders = { disk: mkdtempSync(join(values.folder, 'fdset-nbd-')), tmpfs: mkdtempSync('/dev/shm/fdset-nbd-') };
const images: Record<ImageKind, string> = {
  disk: join(folders.disk, 'disk'),
  tmpfs: join(folders.tmpfs, 'disk'),
  hole: join(folders.disk, 'hole'),
};
const running: { kind: ImageServer; image: ImageKind; server: Server }[] = [];
try {
  makeImages();
  await startServers();
  const results = measureAll();
  const memory = await measureMemory();
  if (values.json) console.log(JSON.stringify({ machine: machine(), results: [...results], memory }));
  else print(results, memory);
} finally {
  for (const { server } of running) server.stop();
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true });
}

// --- images and servers ---

/** The words that nbd-load expects: the number of each and its complement. */
function makeImages(): void {
  const part = new Uint32Array((16 * MIB) / 4);
  const fd = openSync(images.disk, 'w');
  for (let word = 0; word < (Number(values.size) * MIB) / 8; word += part.length / 2) {
    for (let i = 0; i < part.length; i += 2) {
      part[i] = word + i / 2;
      part[i + 1] = ~(word + i / 2);
    }
    writeSync(fd, part);
  }
  closeSync(fd);
  copyFileSync(images.disk, images.tmpfs);
  const hole = openSync(images.hole, 'w');
  ftruncateSync(hole, HOLE_SIZE);
  closeSync(hole);
}

async function startServers(): Promise<void> {
  const needed = new Set(TESTS.map(({ image }) => image));
  for (const image of needed) {
    for (const [index, kind] of imageServers().entries()) {
      const command = (socket: string): readonly string[] => kind.command(socket, images[image]);
      const server = await Server.start({ name: kind.name, command }, join(folders.disk, `${image}-${index}.sock`));
      running.push({ kind, image, server });
    }
  }
}

// --- loads ---

function random(name: string, operation: string, size: number, depth: number, connections: number): Test {
  const args = [operation, String(size), String(depth), String(connections), values.seconds];
  const run = (socket: string): Measured => {
    const [requests, seconds] = execFileSync(load, [socket, 'disk', ...args], { encoding: 'utf8' })
      .split(' ')
      .map(Number) as [number, number];
    const inMegabytes = size >= 65536;
    return { requests, rate: inMegabytes ? (requests * size) / seconds / 1e6 : requests / seconds };
  };
  return { name, image: 'disk', unit: size >= 65536 ? 'MB/s' : 'requests/s', run };
}

function nbdcopy(socket: string, bytes: number): Measured | undefined {
  if (!isInstalled('nbdcopy')) return undefined;
  const start = performance.now();
  execFileSync('nbdcopy', [`nbd+unix:///disk?socket=${socket}`, 'null:']);
  return { requests: bytes / 65536, rate: bytes / (performance.now() - start) / 1e3 };
}

function fio(socket: string): Measured | undefined {
  if (!isInstalled('fio')) return undefined;
  const job = ['--name=read', '--ioengine=nbd', `--uri=nbd+unix:///disk?socket=${socket}`, '--rw=randread', '--bs=4k'];
  const args = [
    ...job,
    '--iodepth=32',
    '--time_based',
    `--runtime=${Math.ceil(Number(values.seconds))}`,
    '--output-format=json',
  ];
  const text = execFileSync('fio', args, { encoding: 'utf8', cwd: folders.disk });
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as {
    jobs: { read: { iops: number; total_ios: number } }[];
  };
  const read = jobs[0]?.read;
  return read && { requests: read.total_ios, rate: read.iops };
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

// --- measuring ---

function measureAll(): Map<string, Result> {
  const results = new Map<string, Result>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const test of TESTS) {
      if (test.cold !== true) execFileSync('cat', [images[test.image]], { stdio: ['ignore', 'ignore', 'inherit'] });
      for (const { kind, image, server } of running) if (image === test.image) measure(results, test, kind, server);
    }
  }
  return results;
}

function measure(results: Map<string, Result>, test: Test, kind: ImageServer, server: Server): void {
  if (test.cold === true) dropFromCache(images[test.image]);
  const before = server.processorTime;
  const measured = test.run(server.socket);
  if (measured === undefined) return;
  const key = `${test.name}, ${kind.name}`;
  const result = results.get(key) ?? { rates: [], costs: [] };
  result.rates.push(measured.rate);
  result.costs.push((server.processorTime - before) / measured.requests);
  results.set(key, result);
}

function dropFromCache(path: string): void {
  execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
}

/** KiB of resident memory that a connection with one request in flight adds. */
async function measureMemory(): Promise<Record<string, string>> {
  const memory: Record<string, string> = {};
  for (const { kind, image, server } of running) {
    if (image !== 'disk') continue;
    const before = server.residentMemory;
    const args = [server.socket, 'disk', 'read', '4096', '1', String(IDLE_CONNECTIONS), '1'];
    const child = spawn(load, args, { stdio: 'ignore' });
    await sleep(700);
    memory[kind.name] = ((server.residentMemory - before) / IDLE_CONNECTIONS).toFixed(0);
    if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  }
  return memory;
}

// --- output ---

type Row = Record<string, string | number>;

function print(results: ReadonlyMap<string, Result>, memory: Record<string, string>): void {
  const kinds = imageServers();
  console.log(machine());
  if (isInstalled('fincore')) console.log(execFileSync('fincore', [images.disk, images.tmpfs], { encoding: 'utf8' }));
  console.log(`medians of ${values.rounds} rounds of ${values.seconds} s`);
  console.table(TESTS.map((test) => row(test, kinds, ({ rates }) => Math.round(median(rates)))));
  console.log("\nfdset's rate as a multiple");
  console.table(TESTS.map((test) => ratioRow(results, test, kinds)));
  console.log("\nthe server's processor time for a request (nbdcopy: for 64 KiB), microseconds");
  console.table(TESTS.map((test) => row(test, kinds, ({ costs }) => median(costs).toFixed(1))));
  console.log(`\nresident memory for a connection, KiB, with ${IDLE_CONNECTIONS} of them`);
  console.table([memory]);

  function row(test: Test, servers: readonly ImageServer[], figure: (result: Result) => string | number): Row {
    const cells: Row = { test: test.name, unit: test.unit };
    for (const { name } of servers) {
      const result = results.get(`${test.name}, ${name}`);
      cells[name] = result === undefined ? '' : figure(result);
    }
    return cells;
  }
}

function ratioRow(results: ReadonlyMap<string, Result>, test: Test, kinds: readonly ImageServer[]): Row {
  const cells: Row = { test: test.name };
  const rateOf = (name: string): number => median(results.get(`${test.name}, ${name}`)?.rates ?? []);
  for (const { name } of kinds.slice(1)) {
    const ratio = rateOf(kinds[0]!.name) / rateOf(name);
    cells[name] = Number.isNaN(ratio) ? '' : ratio.toFixed(2);
  }
  return cells;
}
