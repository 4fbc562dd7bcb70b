import assert from 'node:assert/strict';
import { spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { O, closeFd, getCloseOnExec, pipe, socketPair } from '../../src/addon/index.ts';
import { inheritedAmong, type OpenFd } from '../../src/fds/inherited-fds.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';

checkOpenFds();

const fds = new URL('../../src/fds/index.js', import.meta.url).href;
const addon = new URL('../../src/addon/index.js', import.meta.url).href;
const self = readFileSync(new URL(import.meta.url));

/** What a child process is to report. */
interface Report {
  /** Inherited fds, by number: what they are. */
  inherited: Record<string, string>;
  /** The others above standard error, by number. */
  others: Record<string, string>;
  /** The open fds of a grandchild. */
  grandchild: string[];
  /** What taking each of the others says. */
  refusals: string[];
}

const program = `
  import { listInheritedFds, takeInheritedFd } from ${JSON.stringify(fds)};
  import { spawnSync } from 'node:child_process';
  import { readdirSync, readlinkSync } from 'node:fs';
  if (process.argv.includes('print-first')) console.log('');
  const inherited = Object.fromEntries(listInheritedFds().map((fd) => [fd, readlinkSync('/proc/self/fd/' + fd)]));
  const others = {};
  for (const fd of readdirSync('/proc/self/fd')) {
    if (fd <= 2 || fd in inherited) continue;
    try { others[fd] = readlinkSync('/proc/self/fd/' + fd); } catch {}
  }
  const list = 'for fd in /proc/$$/fd/*; do [ -L "$fd" ] && echo "\${fd##*/}"; done';
  const grandchild = spawnSync('sh', ['-c', list]).stdout.toString().trim().split('\\n');
  const refusals = [0, 1, 2, 9999, ...Object.keys(others).map(Number)].map((fd) => {
    try { takeInheritedFd(fd); return 'taken'; } catch (error) { return error.message; }
  });
  for (const fd of Object.keys(inherited)) takeInheritedFd(Number(fd)).close();
  console.log(JSON.stringify({ inherited, others, grandchild, refusals }));
  process.disconnect?.();
`;

const programArguments = (...words: string[]) => ['--input-type=module', '-e', program, '--', ...words];

/** Runs the program with these fds at these numbers, besides standard input, output and error. */
async function report(given: Record<number, number | 'ipc'>, ...words: string[]): Promise<Report> {
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit'];
  const last = Math.max(0, ...Object.keys(given).map(Number));
  for (let fd = 3; fd <= last; fd++) stdio[fd] = given[fd] ?? 'ignore';
  const child = spawn(process.execPath, programArguments(...words), { stdio, timeout: 20_000 });
  assert.ok(child.stdout);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  await once(child, 'close');
  return JSON.parse(Buffer.concat(pieces).toString()) as Report;
}

/** What this process lets every child inherit, since it has inherited it so itself. */
function inheritedAnyway(): string[] {
  return [...openFds().keys()].filter((fd) => fd > 2 && !getCloseOnExec(fd)).map(String);
}

function checkReport(result: Report, given: Record<number, string>): void {
  for (const [fd, link] of Object.entries(given)) assert.match(result.inherited[fd] ?? 'not listed', new RegExp(link));
  assert.deepEqual(
    Object.keys(result.inherited).filter((fd) => !(fd in given)),
    inheritedAnyway().filter((fd) => !(fd in given)),
    'nothing else is inherited',
  );
  for (const link of Object.values(result.others)) {
    assert.match(link, /^(anon_inode:\[(eventpoll|eventfd|io_uring)\]|pipe:\[\d+\]|\/dev\/null|socket:\[\d+\])$/);
  }
  assert.deepEqual(result.grandchild, ['0', '1', '2']);
  assert.deepEqual(new Set(result.refusals), new Set(['fd is not valid or already in use']));
}

const numbers = [3, 11, 40, 200];
const kinds: [string, () => { fd: number; close: () => void }, string][] = [
  ['regular files', () => plain(openSync('/proc/self/status', O.O_RDONLY)), '^/proc/\\d+/status$'],
  ['/dev/null for reading', () => plain(openSync('/dev/null', O.O_RDONLY)), '^/dev/null$'],
  ['/dev/null for both', () => plain(openSync('/dev/null', O.O_RDWR)), '^/dev/null$'],
  ['pipes', () => pair(pipe()), '^pipe:'],
  ['sockets', () => pair(socketPair()), '^socket:'],
];

function plain(fd: number) {
  return { fd, close: () => closeFd(fd) };
}

function pair([fd, other]: [number, number]) {
  return {
    fd,
    close: () => {
      closeFd(fd);
      closeFd(other);
    },
  };
}

for (const [name, make, link] of kinds) {
  for (const words of [[], ['print-first']]) {
    test(`${name} are told from Node's own at 3, 11, 40 and 200, and no child inherits them ${words.join()}`, async () => {
      const made = numbers.map(make);
      const given = Object.fromEntries(numbers.map((fd, index) => [fd, made[index]?.fd ?? 0]));
      checkReport(await report(given, ...words), Object.fromEntries(numbers.map((fd) => [fd, link])));
      for (const { close } of made) close();
    });
  }
}

test('a process that inherits nothing lists nothing', async () => {
  checkReport(await report({}), {});
});

test("inherited fds without a gap, past those that Node marks, are told from Node's own", async () => {
  const fd = openSync('/dev/null', O.O_RDONLY);
  const all = Array.from({ length: 40 }, (_, index) => index + 3);
  const result = await report(Object.fromEntries(all.map((number) => [number, fd])));
  checkReport(result, Object.fromEntries(all.map((number) => [number, '^/dev/null$'])));
  closeFd(fd);
});

test('fds from a shell, which opens them without close-on-exec', () => {
  const redirections = 'exec 3</dev/null 7<>/dev/null 12<$0 19</dev/null 40<$0 200>/dev/null';
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${redirections}; exec "$@"`, fileURLToPath(import.meta.url), process.execPath, ...programArguments()],
    { timeout: 20_000 },
  );
  assert.equal(stderr.toString(), '');
  const file = '/inherited-fds\\.test\\.js$';
  const given = { 3: '/dev/null', 7: '/dev/null', 12: file, 19: '/dev/null', 40: file, 200: '/dev/null' };
  checkReport(JSON.parse(stdout.toString()) as Report, given);
});

test('the IPC channel of a forked process is its own', async () => {
  const fd = openSync('/dev/null', O.O_RDONLY);
  const result = await report({ 3: 'ipc', 4: fd });
  checkReport(result, { 4: '^/dev/null$' });
  assert.match(result.others['3'] ?? '', /^socket:/);
  closeFd(fd);
});

test('an inherited fd can be taken once, and is then a plain owned fd', () => {
  const fd = openSync(new URL(import.meta.url), O.O_RDONLY);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
      import { listInheritedFds, takeInheritedFd } from ${JSON.stringify(fds)};
      import { readFileSync } from 'node:fs';
      const owned = takeInheritedFd(5);
      process.stdout.write(readFileSync(owned.fd));
      owned.close();
      try { takeInheritedFd(5); } catch (error) { process.stderr.write(error.message + error.code); }
      if (listInheritedFds().includes(5)) process.stderr.write('still listed');
      `,
    ],
    { stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', fd], timeout: 20_000 },
  );
  closeFd(fd);
  assert.ok(stdout.equals(self));
  assert.equal(stderr.toString(), 'fd is not valid or already in useERR_FDSET_NOT_INHERITED');
});

test('a process that was told which fds it has inherited does not look', () => {
  const fd = openSync('/dev/null', O.O_RDONLY);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
      import { declareInheritedFds, listInheritedFds, takeInheritedFd } from ${JSON.stringify(fds)};
      import { getCloseOnExec } from ${JSON.stringify(addon)};
      const before = getCloseOnExec(40);
      declareInheritedFds([40, 4]);
      const results = [listInheritedFds(), before, getCloseOnExec(40)];
      for (const number of [5, 40]) {
        try { takeInheritedFd(number).close(); results.push('taken'); } catch (error) { results.push(error.message); }
      }
      try { declareInheritedFds([9999]); } catch (error) { results.push(error.errnoName); }
      console.log(JSON.stringify(results));
      `,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe', ...Array.from({ length: 38 }, (_, index) => (index === 20 ? 'ignore' : fd))],
      timeout: 20_000,
    },
  );
  closeFd(fd);
  assert.equal(stderr.toString(), '');
  assert.deepEqual(JSON.parse(stdout.toString()), [
    [40, 4],
    false,
    true,
    'fd is not valid or already in use',
    'taken',
    'EBADF',
  ]);
});

test('a worker thread has no say in it', async () => {
  const worker = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`import { listInheritedFds } from ${JSON.stringify(fds)}; listInheritedFds();`)}`,
    ),
  );
  const error = await new Promise<Error>((resolve) => worker.once('error', resolve));
  assert.equal(error.message, 'inherited fds belong to the main thread');
});

test('the rules hold on plain data', () => {
  const open = (fd: number, link: string, closeOnExec: boolean, statusFlags = 0): OpenFd => ({
    fd,
    link,
    closeOnExec,
    statusFlags,
  });
  const listed = inheritedAmong(
    [
      open(2, '/dev/pts/0', false),
      open(3, 'anon_inode:[eventpoll]', true),
      open(4, 'pipe:[1]', true, O.O_RDONLY),
      open(5, 'pipe:[1]', true, O.O_WRONLY),
      open(6, 'pipe:[2]', true, O.O_RDONLY),
      open(7, '/image', true),
      open(8, 'socket:[3]', true),
      open(9, '/dev/null', true),
      open(17, 'anon_inode:[eventfd]', true),
      open(18, '/dev/null', true), // for Node's streams
      open(19, '/dev/pts/0', true), // Node opens its terminal again
      open(20, 'anon_inode:[eventfd]', false),
      open(21, 'pipe:[4]', false, O.O_RDONLY),
      open(22, 'pipe:[4]', false, O.O_WRONLY),
      open(40, '/dev/null', false),
    ],
    8,
  );
  assert.deepEqual(
    listed.map(({ fd }) => fd),
    [6, 7, 9, 20, 21, 22, 40],
  );
});
