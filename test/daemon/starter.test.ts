import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { closeFd, dupFd, landlockAbi, pipe, seccompAvailable, type FdMapping } from '../../src/addon/index.ts';
import { describeSandbox } from '../../src/daemon/sandbox-report.ts';
import { protections, startDaemon, type StartedDaemon } from '../../src/daemon/starter.ts';
import { printable } from '../../src/daemon/terminal-relay.ts';
import { checkOpenFds } from '../open-fds.ts';
import { daemonProcesses } from './daemon-processes.ts';

checkOpenFds();

const modes = ['off', 'on'] as const;
const skip = (landlockAbi() < 3 || !seccompAvailable()) && 'needs Landlock ABI 3 and seccomp';
const folder = mkdtempSync(join(tmpdir(), 'fdset-starter-'));
after(() => rmSync(folder, { recursive: true }));

type Mode = (typeof modes)[number];

function start(mode: Mode, args: string[], fds: FdMapping[] = []): StartedDaemon {
  return startDaemon({ mode, script: daemonProcesses, args: [...args, mode], fds });
}

/** Starts a daemon and gives back what it wrote to its fd 3. */
async function answerOf(mode: Mode, role: string, fds: FdMapping[] = []): Promise<string> {
  const [reading, writing] = pipe();
  const daemon = start(mode, [role], [{ fd: writing, childFd: 3 }, ...fds]);
  closeFd(writing);
  await daemon.ready;
  assert.deepEqual(await daemon.exit, { code: 0, signal: null });
  const buffer = Buffer.alloc(65536);
  const length = readSync(reading, buffer);
  closeFd(reading);
  return buffer.toString('utf8', 0, length);
}

/** A TCP socket that listens and that no server of this process answers. */
async function listenWithoutAccepting(): Promise<{ listening: number; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const listening = dupFd((server as unknown as { _handle: { fd: number } })._handle.fd);
  server.close();
  return { listening, port };
}

async function ends(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 500; tries++) {
    const state = existsSync(`/proc/${pid}/stat`)
      ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0]
      : 'gone';
    if (state === 'Z' || state === 'gone') return true;
    await sleep(20);
  }
  return false;
}

for (const mode of modes) {
  test(`a daemon with the sandbox ${mode} says that it is ready, and ends when asked`, { skip }, async () => {
    const daemon = start(mode, ['idle']);
    const report = await daemon.ready;
    assert.equal(report.mode, mode);
    assert.equal(daemon.kill('SIGTERM'), true);
    assert.deepEqual(await daemon.exit, { code: 42, signal: null });
    assert.equal(daemon.kill('SIGTERM'), false);
  });

  test(`a daemon with the sandbox ${mode} ends when its starter is killed`, { skip }, async () => {
    const starter = spawn(process.execPath, [daemonProcesses, 'starter', mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(starter.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.doesNotThrow(() => process.kill(pid, 0));
    starter.kill('SIGKILL');
    await once(starter, 'exit');
    assert.equal(await ends(pid), true);
  });

  test(`fds that were handed on work with the sandbox ${mode}`, { skip }, async () => {
    const [source, target] = [join(folder, `source-${mode}`), join(folder, `target-${mode}`)];
    writeFileSync(source, 'read');
    const { listening, port } = await listenWithoutAccepting();
    const [reading, writing] = [openSync(source, 'r'), openSync(target, 'w')];
    const fds = [reading, writing, listening].map((fd, i) => ({ fd, childFd: 4 + i }));
    const daemon = start(mode, ['fds'], fds);
    closeSync(reading);
    closeSync(writing);
    closeFd(listening);
    await daemon.ready;
    const client = connect(port, '127.0.0.1');
    const [hello] = (await once(client, 'data')) as [Buffer];
    client.end();
    assert.deepEqual(await daemon.exit, { code: 0, signal: null });
    assert.equal(hello.toString(), 'hello');
    assert.equal(readFileSync(target, 'utf8'), 'read, written');
  });

  test(`a day's work fails nowhere with the sandbox ${mode}`, { skip }, async () => {
    const path = join(folder, `file-${mode}`);
    const fd = openSync(path, 'w+');
    let expected = {};
    if (mode === 'off') expected = { 'a refused open in both pools': true };
    try {
      const failures = JSON.parse(await answerOf(mode, 'workload', [{ fd, childFd: 4 }])) as Record<string, string>;
      assert.deepEqual(Object.keys(failures), Object.keys(expected), Object.values(failures).join('\n'));
    } finally {
      closeSync(fd);
    }
  });
}

test('the environment of a daemon brings in no code and nothing of its starter', { skip }, async () => {
  process.env['NODE_OPTIONS'] = '--require=/nonexistent.cjs';
  process.env['SOME_SECRET'] = 'x';
  try {
    const seen = JSON.parse(await answerOf('on', 'surroundings')) as Record<string, string[] | string>;
    assert.deepEqual(seen['environment'], ['FDSET_SANDBOX', 'TZ']);
    assert.ok(!seen['after']!.includes('FDSET_SANDBOX'));
    assert.deepEqual(seen['fds'], [3]);
    assert.equal(seen['cwd'], '/');
    assert.deepEqual(seen['execArgv'], []);
    assert.equal(seen['tz'], new Date().getTimezoneOffset());
  } finally {
    delete process.env['NODE_OPTIONS'];
    delete process.env['SOME_SECRET'];
  }
});

test('a daemon may have as many fds as this system lets it have', async () => {
  const seen = JSON.parse(await answerOf('off', 'surroundings')) as Record<string, string>;
  const [soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(seen['limits']!)!.slice(1);
  assert.equal(soft, hard);
});

test('a daemon that fails tells its starter why', { skip }, async () => {
  const daemon = start('on', ['failing']);
  await assert.rejects(daemon.ready, { code: 'ERR_FDSET_DAEMON_START', message: 'no such thing' });
  assert.deepEqual(await daemon.exit, { code: 1, signal: null });
});

test('a daemon that ends without a word is reported with its exit', { skip }, async () => {
  const daemon = start('on', ['silent']);
  const message = 'the daemon ended with code 3 before it was ready';
  await assert.rejects(daemon.ready, { code: 'ERR_FDSET_DAEMON_START', message });
});

test('the report says what holds', { skip }, async () => {
  const daemon = start('on', ['idle']);
  const report = await daemon.ready;
  daemon.kill('SIGKILL');
  await daemon.exit;
  const refused = { landlock: 'EACCES', seccomp: 'EACCES' };
  assert.deepEqual(
    report['self-test'],
    ['main', 'pool', 'io-pool', 'worker'].map((thread) => ({ thread, ...refused })),
  );
  assert.equal(report['landlock-abi'], Math.min(7, landlockAbi()));
  assert.deepEqual([report.seccomp, report['no-new-privs'], report.dumpable], [true, true, false]);
  const threads = 'opening a file was refused in main, pool, io-pool, worker';
  // In a checkout that only root may enter, root stays.
  const why = report.uid === 0 ? '; uid 0 stays, since uid 65534 is refused [^ ]+ \\(EACCES\\)' : '';
  assert.match(
    describeSandbox(report),
    new RegExp(`^sandbox: Landlock ABI \\d+, seccomp, uid \\d+, no capabilities; ${threads}${why}$`),
  );
});

test('on asks for everything, try takes what there is and says what is missing', () => {
  const nothing = { landlockAbi: 0, seccomp: false };
  const old = { landlockAbi: 2, seccomp: true };
  const full = { landlockAbi: 3, seccomp: true };
  assert.deepEqual(protections('on', full), { ...full, missing: [] });
  assert.deepEqual(protections('try', old), {
    ...old,
    missing: ['this kernel has Landlock ABI 2, less than ABI 3'],
  });
  assert.deepEqual(protections('try', nothing).missing.length, 2);
  assert.deepEqual(protections('off', full), { landlockAbi: 0, seccomp: false, missing: [] });
  for (const has of [nothing, old, { landlockAbi: 7, seccomp: false }]) {
    assert.throws(() => protections('on', has), { code: 'ERR_FDSET_SANDBOX', message: /--sandbox try/ });
  }
});

test('a terminal gets the text of a daemon but is not handed to it', { skip }, () => {
  // script(1) gives the starter a terminal.
  const command = `${process.execPath} ${daemonProcesses} writing-starter`;
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(stdout.trim(), 'tty no ?[31mred?');
});

test('what could command a terminal is not printable, other text is', () => {
  assert.equal(printable('a\tb\nc\r\x1b[0m\x07\x9b\x7fä€'), 'a\tb\nc??[0m???ä€');
});
