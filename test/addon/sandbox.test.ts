import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import {
  SpawnError,
  SystemError,
  allowPath,
  closeFd,
  createRuleset,
  landlockAbi,
  pipe,
  processRights,
  seccompAvailable,
  spawnSandboxed,
  type FdMapping,
  type SpawnOptions,
} from '../../src/addon/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const folder = mkdtempSync(join(tmpdir(), 'fdset-spawn-'));
after(() => rmSync(folder, { recursive: true }));

/** What the children of these tests have as 0, 1 and 2 where nothing else is said: -1 stands for /dev/null. */
const standard: FdMapping[] = [0, 1, 2].map((childFd) => ({ fd: -1, childFd }));

function shell(script: string, fds: FdMapping[] = standard, more: Partial<SpawnOptions> = {}) {
  const nothing = openSync('/dev/null', 'r+');
  const given = fds.map(({ fd, childFd }) => ({ fd: fd === -1 ? nothing : fd, childFd }));
  try {
    return spawnSandboxed({ file: '/bin/sh', args: ['-c', script], env: {}, fds: given, ...more });
  } finally {
    closeSync(nothing);
  }
}

/** Runs a shell script and gives back what it has written to its fd 1. */
async function output(script: string, fds: FdMapping[] = [], more: Partial<SpawnOptions> = {}): Promise<string> {
  const [reading, writing] = pipe();
  const given = [...standard.filter(({ childFd }) => childFd !== 1), { fd: writing, childFd: 1 }, ...fds];
  let exit;
  try {
    ({ exit } = shell(script, given, more));
  } finally {
    closeFd(writing);
  }
  await exit;
  const buffer = Buffer.alloc(65536);
  const length = readSync(reading, buffer);
  closeFd(reading);
  return buffer.toString('latin1', 0, length);
}

function spawnError(step: string, errnoName: string) {
  return (error: unknown) => error instanceof SpawnError && error.step === step && error.errnoName === errnoName;
}

test('the exit of a child tells its code', async () => {
  const child = shell('exit 7');
  assert.deepEqual(await child.exit, { code: 7, signal: null });
  assert.equal(child.kill('SIGTERM'), false);
});

test('the exit of a killed child tells the signal', async () => {
  const child = shell('while :; do sleep 1; done');
  assert.equal(child.kill('SIGKILL'), true);
  assert.deepEqual(await child.exit, { code: null, signal: 'SIGKILL' });
});

test('a child that has ended is no zombie', async () => {
  const child = shell('exit 0');
  await child.exit;
  assert.throws(() => process.kill(child.pid, 0), { code: 'ESRCH' });
});

test('a hundred children at a time are all seen to end', async () => {
  const children = Array.from({ length: 100 }, (_, i) => shell(`exit ${i}`));
  const codes = await Promise.all(children.map(async ({ exit }) => (await exit).code));
  assert.deepEqual(
    codes,
    children.map((_, i) => i),
  );
});

test('a program that does not exist is reported with its path', () => {
  const file = join(folder, 'missing');
  assert.throws(() => shell('', standard, { file }), {
    name: 'SpawnError',
    code: 'ERR_FDSET_SPAWN',
    step: 'execve',
    errnoName: 'ENOENT',
    path: file,
    message: `cannot start ${file}: execve ${file}: No such file or directory`,
  });
});

test('a probe that cannot be opened is reported with its path, before anything runs', () => {
  const probes = ['/dev/null', join(folder, 'unreadable')];
  assert.throws(() => shell('true', standard, { probes }), { step: 'open', errnoName: 'ENOENT', path: probes[1] });
});

test('a failure is reported whatever numbers the fds have', () => {
  const fds = Array.from({ length: 100 }, (_, childFd) => ({ fd: -1, childFd }));
  assert.throws(() => shell('', fds, { file: join(folder, 'missing') }), spawnError('execve', 'ENOENT'));
});

test('an fd that is not open is reported', () => {
  assert.throws(() => shell('true', [...standard, { fd: 999_999, childFd: 3 }]), spawnError('dup2', 'EBADF'));
});

test('fds 0, 1 and 2 must be given, and no number twice', () => {
  assert.throws(() => shell('true', standard.slice(1)), TypeError);
  assert.throws(() => shell('true', [...standard, { fd: 1, childFd: 2 }]), TypeError);
});

test('an argument with a NUL is refused', () => {
  assert.throws(() => shell('true\0false'), TypeError);
});

test('the child has the given fds and no others', async () => {
  const stray = openSync('/dev/null', 'r');
  const given = [3, 9, 200].map((childFd) => ({ fd: stray, childFd }));
  // The shell's own listing uses one more, for the folder.
  const listed = await output('cd /proc/self/fd; for fd in *; do if [ -e $fd ]; then echo $fd; fi; done', given);
  closeSync(stray);
  assert.deepEqual(
    listed
      .trim()
      .split('\n')
      .map(Number)
      .sort((a, b) => a - b),
    [0, 1, 2, 3, 9, 200],
  );
});

test('fds that trade places arrive at the right numbers', async () => {
  const names = ['a', 'b', 'c'];
  const paths = names.map((name) => join(folder, name));
  paths.forEach((path, i) => writeFileSync(path, names[i]!));
  const fds = paths.map((path) => openSync(path, 'r'));
  const rotated = fds.map((fd, i) => ({ fd, childFd: fds[(i + 1) % fds.length]! }));
  const order = fds.map((fd) => `cat /proc/self/fd/${fd}`).join('; ');
  const read = await output(order, rotated);
  fds.forEach((fd) => closeSync(fd));
  assert.equal(read, 'cab');
});

test('fds arrive at any numbers, free here or not', async () => {
  const paths = ['d', 'e', 'f'].map((name) => join(folder, name));
  paths.forEach((path) => writeFileSync(path, path.slice(-1)));
  const fds = paths.map((path) => openSync(path, 'r'));
  const targets = Array.from({ length: 100 }, (_, i) => 3 + i);
  const given = targets.map((childFd) => ({ fd: fds[childFd % 3]!, childFd }));
  const read = await output('for fd in $(seq 3 102); do cat /proc/self/fd/$fd; done', given.reverse());
  fds.forEach((fd) => closeSync(fd));
  assert.equal(read, targets.map((target) => 'def'[target % 3]).join(''));
});

test('the fds of the parent stay as they were', () => {
  const fd = openSync('/dev/null', 'r');
  const before = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  shell('true', [...standard, { fd, childFd: 3 }]);
  assert.equal(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), before);
  closeSync(fd);
});

test('the environment is the given one alone', async () => {
  assert.equal(await output('/usr/bin/env', [], { file: '/usr/bin/env', args: [], env: { A: 'b=c' } }), 'A=b=c\n');
});

test('the child leads a session of its own', async () => {
  const stat = await output('read -r line < /proc/self/stat; echo "$line"');
  const [pid, , , , group, session] = stat.split(' ');
  assert.deepEqual([group, session], [pid, pid]);
});

test('signals that this process ignores or blocks are back to normal in the child', async () => {
  const status = await output('while read -r line; do echo "$line"; done < /proc/self/status');
  assert.match(status, /^SigBlk:\s0+$/m);
  assert.match(status, /^SigIgn:\s0+$/m);
});

test('restrictions take every capability, core dumps and new privileges', async () => {
  const script = 'while read -r line; do echo "$line"; done < /proc/self/status; ulimit -c';
  const status = await output(script, [], { restrictions: {} });
  for (const set of ['CapPrm', 'CapEff', 'CapInh', 'CapAmb']) assert.match(status, new RegExp(`^${set}:\\s0+$`, 'm'));
  assert.match(status, /^NoNewPrivs:\s1$/m);
  assert.match(status, /^0$/m);
});

test('a user to change to is what the child runs as', { skip: process.getuid!() !== 0 && 'needs root' }, async () => {
  const status = await output('while read -r line; do echo "$line"; done < /proc/self/status', [], {
    restrictions: { user: { uid: 65534, gid: 65533 } },
  });
  assert.match(status, /^Uid:\s65534\s65534\s65534\s65534$/m);
  assert.match(status, /^Gid:\s65533\s65533\s65533\s65533$/m);
  assert.match(status, /^Groups:\s*$/m);
});

test('a probe is opened as the user to change to', { skip: process.getuid!() !== 0 && 'needs root' }, () => {
  const path = join(folder, 'secret');
  writeFileSync(path, '', { mode: 0o600 });
  const more = { probes: [path], restrictions: { user: { uid: 65534, gid: 65534 } } };
  assert.throws(() => shell('true', standard, more), spawnError('open', 'EACCES'));
});

test('a Landlock ruleset lets in what it allows and nothing else', { skip: landlockAbi() === 0 }, async () => {
  const readAndExecute = 0b1101;
  const ruleset = createRuleset(readAndExecute, 0, 0);
  for (const path of ['/bin', '/lib', '/lib64', '/usr']) {
    try {
      allowPath(ruleset, path, readAndExecute);
    } catch (error) {
      assert.equal(error instanceof SystemError && error.errnoName, 'ENOENT');
    }
  }
  const restrictions = { landlockRuleset: ruleset };
  const answer = await output('cat /bin/sh > /dev/null && echo in; cat /etc/passwd || echo out', [], { restrictions });
  closeFd(ruleset);
  assert.equal(answer, 'in\nout\n');
});

test('a worker thread cannot start a child, whose life would be tied to it', async () => {
  const url = JSON.stringify(new URL('../../src/addon/index.js', import.meta.url).href);
  const worker = new Worker(
    `import(${url}).then(({ spawnSandboxed }) => {
      const fds = [0, 1, 2].map((fd) => ({ fd, childFd: fd }));
      try { spawnSandboxed({ file: '/bin/true', args: [], env: {}, fds }); } catch (error) {
        require('node:worker_threads').parentPort.postMessage(error.step);
      }
    });`,
    { eval: true },
  );
  const step = await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
  assert.equal(step, 'gettid');
});

/** Is this process there, and more than somebody's zombie? */
function runs(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') !== '';
  } catch {
    return false;
  }
}

test('a child that was let go does not keep the process alive, and ends with it', async () => {
  const script = `
    import { openSync } from 'node:fs';
    import { spawnSandboxed } from ${JSON.stringify(new URL('../../src/addon/index.js', import.meta.url).href)};
    const nothing = openSync('/dev/null', 'r+');
    const fds = [0, 1, 2].map((childFd) => ({ fd: nothing, childFd }));
    const child = spawnSandboxed({ file: '/bin/sleep', args: ['1000'], env: {}, fds });
    child.unref();
    console.log(child.pid);`;
  const args = ['--input-type=module', '-e', script];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0);
  for (let tries = 0; runs(stdout.trim()) && tries < 500; tries++) await sleep(20);
  assert.equal(runs(stdout.trim()), false);
});

test('the rights of this process are what /proc says', () => {
  const status = readFileSync('/proc/self/status', 'latin1');
  const effective = Number.parseInt(/^CapEff:\s(.*)$/m.exec(status)![1]!, 16);
  assert.equal(processRights().effective, effective);
  assert.equal(processRights().noNewPrivs, Number(/^NoNewPrivs:\s(.*)$/m.exec(status)![1]));
});

/** Without root a filter takes a process that cannot gain privileges. */
const noNewPrivileges = process.getuid!() === 0 ? [] : ['setpriv', '--no-new-privs'];

/** Runs a module in a Node of its own, which gains no privileges, and gives back what it prints. */
function inAnotherNode(script: string): string {
  const url = JSON.stringify(new URL('../../src/addon/index.js', import.meta.url).href);
  const node = [process.execPath, '--input-type=module', '-e', `import * as addon from ${url};\n${script}`];
  const [file, ...args] = [...noNewPrivileges, ...node];
  const { stdout, stderr, status } = spawnSync(file!, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('a filter reaches the threads that were there before it', { skip: !seccompAvailable() && 'needs seccomp' }, () => {
  // Load the number of the call; umask (95, or 166 on arm64): EPERM; everything else is allowed.
  const umask = process.arch === 'x64' ? 95 : 166;
  const program = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, umask],
    [0x06, 0, 0, 0x00050001],
    [0x06, 0, 0, 0x7fff0000],
  ];
  const seen = inAnotherNode(`
    import { once } from 'node:events';
    import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
    const program = ${JSON.stringify(program)};
    const bytes = Buffer.alloc(program.length * 8);
    program.forEach(([code, jt, jf, k], i) => {
      bytes.writeUInt16LE(code, i * 8);
      bytes.writeUInt8(jt, i * 8 + 2);
      bytes.writeUInt8(jf, i * 8 + 3);
      bytes.writeUInt32LE(k >>> 0, i * 8 + 4);
    });
    const worker = new Worker(
      "const { parentPort } = require('node:worker_threads');" +
        "parentPort.on('message', () => parentPort.postMessage(process.umask()));" +
        "parentPort.postMessage(process.umask());",
      { eval: true, execArgv: [] },
    );
    const [before] = await once(worker, 'message');
    const { noNewPrivs, seccompMode } = addon.processRights();
    try { addon.installSeccompFilter(bytes.subarray(1)); } catch (error) { console.log(error.name); }
    try { addon.installSeccompFilter(Buffer.alloc(8)); } catch (error) { console.log(error.errnoName); }
    addon.installSeccompFilter(bytes);
    worker.postMessage('');
    const [after] = await once(worker, 'message');
    console.log(before !== after, seccompMode, addon.processRights().seccompMode);
    addon.setDumpable(false);
    console.log(addon.processRights().dumpable);
    await worker.terminate();
  `);
  assert.deepEqual(seen.trim().split('\n'), ['TypeError', 'EINVAL', 'true 0 2', '0']);
});
