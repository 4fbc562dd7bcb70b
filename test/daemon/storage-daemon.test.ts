// The storage daemon as a program: options in order, QEMU's words for what is wrong, the pid file, its end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { QmpClient } from '../../src/client/index.ts';
import { fdset, fdsetMain, FdsetProcess } from '../cli/fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));

const refused: [string[], string][] = [
  [['--bogus'], "unrecognized option '--bogus'"],
  [['--compat', '7.2'], '--compat 7.2: give one of qemu-10.0, qemu-7.2'],
  [['word'], 'word: Unexpected argument'],
  [
    ['--blockdev', 'driver=file,node-name=a,filename=/nonexistent'],
    "--blockdev driver=file,node-name=a,filename=/nonexistent: Could not open '/nonexistent': No such file or directory",
  ],
  [
    ['--blockdev', 'driver=null-co,node-name=a,read-only=maybe'],
    "--blockdev driver=null-co,node-name=a,read-only=maybe: Parameter 'read-only' expects 'on' or 'off'",
  ],
  [
    ['--export', 'type=nbd,id=e,node-name=n', '--blockdev', 'driver=null-co,node-name=n'],
    "--export type=nbd,id=e,node-name=n: Cannot find device='' nor node-name='n'",
  ],
  [
    ['--blockdev', 'driver=null-co,node-name=n', '--export', 'nbd,id=e,node-name=n'],
    '--export nbd,id=e,node-name=n: NBD server not running',
  ],
  [['--monitor', 'c'], '--monitor c: chardev "c" not found'],
  [['--nbd-server', 'addr.type=unix'], "--nbd-server addr.type=unix: Parameter 'addr.path' is missing"],
  [
    ['--nbd-server', 'addr.type=unix,addr.path=/nonexistent/s'],
    '--nbd-server addr.type=unix,addr.path=/nonexistent/s: Failed to bind socket to /nonexistent/s: No such file or directory',
  ],
  [['--add-fd', 'set=1'], '--add-fd set=1: fd option is required and must be non-negative'],
  [['--add-fd', 'fd=1,set=1'], '--add-fd fd=1,set=1: fd cannot be a standard I/O stream'],
  [['--add-fd', 'fd=77,set=1'], '--add-fd fd=77,set=1: fd is not valid or already in use'],
  [['--add-fd', 'fd=x,set=1'], "--add-fd fd=x,set=1: Parameter 'fd' expects a number"],
  [['--add-fd', 'fd=3,set=1,bogus=1'], "--add-fd fd=3,set=1,bogus=1: Invalid parameter 'bogus'"],
  [
    ['--pidfile', '/nonexistent/pid'],
    "cannot create PID file: Could not create '/nonexistent/pid': No such file or directory",
  ],
  [['--pidfile', '/dev/full'], 'cannot create PID file: Failed to truncate pid file: Invalid argument'],
  [['--sandbox', 'maybe'], '--sandbox maybe: give one of off, try, on'],
];
for (const [args, says] of refused) {
  test(`${args.join(' ')} is refused`, () => {
    const { code, stderr } = fdset('storage-daemon', ...args);
    assert.deepEqual([code, stderr], [1, `fdset storage-daemon: ${says}\n`]);
  });
}

for (const sandbox of ['off', 'try']) {
  test(`with --sandbox ${sandbox} it writes its pid file, serves, quits, and leaves nothing behind`, async () => {
    const socket = join(folder, `qmp-${sandbox}.sock`);
    const pidFile = join(folder, `pid-${sandbox}`);
    const nbd = join(folder, `nbd-${sandbox}.sock`);
    const scene = ['--sandbox', sandbox, '--pidfile', pidFile];
    const monitor = ['--chardev', `socket,id=c,path=${socket},server=on,wait=off`, '--monitor', 'c,pretty=off'];
    const node = ['--blockdev', 'driver=null-co,node-name=n,size=1048576'];
    const server = ['--nbd-server', `addr.type=unix,addr.path=${nbd}`, '--export', 'nbd,id=e,node-name=n,writable=on'];
    const daemon = new FdsetProcess('storage-daemon', ...scene, ...monitor, ...node, ...server);
    await daemon.untilFile(pidFile);
    assert.equal(readFileSync(pidFile, 'utf8'), `${daemon.child.pid}\n`);
    assert.equal(statSync(pidFile).mode & 0o777, 0o600);
    const client = await QmpClient.connect(socket);
    assert.equal(((await client.execute('query-block-exports')) as unknown[]).length, 1);
    await client.execute('quit');
    await client.close();
    await new Promise((resolve) => daemon.child.once('close', resolve));
    assert.equal(daemon.child.exitCode, 0, daemon.stderr);
    for (const path of [socket, pidFile, nbd]) assert.equal(existsSync(path), false, path);
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} ends it in order`, async () => {
    const socket = join(folder, `${signal}.sock`);
    const daemon = new FdsetProcess(
      'storage-daemon',
      '--chardev',
      `socket,id=c,path=${socket},server=on,wait=off`,
      '--monitor',
      'c',
    );
    const client = await connectEarly(socket);
    const { code, stderr } = await daemon.end(signal);
    assert.deepEqual([code, stderr], [0, '']);
    await client.close();
    assert.equal(existsSync(socket), false);
  });
}

test('without a socket it runs until a signal ends it', async () => {
  const pidFile = join(folder, 'pid-alone');
  const node = ['--blockdev', `driver=file,node-name=n,filename=${image}`];
  const daemon = new FdsetProcess('storage-daemon', ...node, '--pidfile', pidFile);
  await daemon.untilFile(pidFile);
  const { code, stderr } = await daemon.end('SIGTERM');
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(existsSync(pidFile), false);
});

test('under a low limit of open files the sandboxed daemon gets its sockets', () => {
  const command = [process.execPath, fdsetMain, 'storage-daemon', '--sandbox', 'try'];
  const chardev = ['--chardev', `socket,id=c,path=${join(folder, 'low.sock')},server=on,wait=off`, '--monitor', 'none'];
  const script = ['-c', 'ulimit -n 256; exec "$@"', 'sh', ...command, ...chardev];
  const { status, stderr } = spawnSync('sh', script, { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([status, stderr], [1, 'fdset storage-daemon: --monitor none: chardev "none" not found\n']);
});

test('a starter that is ended before its daemon serves removes what it has bound', async () => {
  const socket = join(folder, 'ended.sock');
  const monitor = ['--chardev', `socket,id=c,path=${socket},server=on,wait=off`, '--monitor', 'c'];
  const starter = new FdsetProcess('storage-daemon', '--sandbox', 'try', ...monitor);
  for (let tries = 0; !existsSync(socket) && tries < 4000; tries++) await new Promise((r) => setTimeout(r, 2));
  const { code, stderr } = await starter.end('SIGTERM');
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(existsSync(socket), false);
});

/** Connects as soon as it can be done: the socket is there a moment before it listens. */
async function connectEarly(socket: string): Promise<QmpClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await QmpClient.connect(socket);
    } catch (error) {
      if (tries === 2000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

test('no command of a client comes between two options', async () => {
  const socket = join(folder, 'early.sock');
  const monitor = ['--chardev', `socket,id=c,path=${socket},server=on,wait=off`, '--monitor', 'c'];
  const node = (name: string): string[] => [
    '--blockdev',
    `driver=file,node-name=${name},filename=${image},read-only=on`,
  ];
  const many = Array.from({ length: 500 }, (_, index) => node(`n${index}`)).flat();
  const daemon = new FdsetProcess('storage-daemon', ...monitor, ...many);
  const client = await connectEarly(socket);
  const nodes = (await client.execute('query-named-block-nodes')) as unknown[];
  assert.equal(nodes.length, 500);
  await client.close();
  assert.equal((await daemon.end('SIGTERM')).code, 0);
});

test('--help and --version answer and exit with 0', () => {
  assert.match(fdset('storage-daemon', '--help').stdout, /--blockdev/);
  assert.match(
    fdset('storage-daemon', '-V').stdout,
    /^fdset storage-daemon version 10\.0\.2 \(fdset \d+\.\d+\.\d+\)\n$/,
  );
});

test('an export in an iothread that does not exist is refused, as there are none', () => {
  const node = ['--blockdev', 'driver=null-co,node-name=n'];
  const { code, stderr } = fdset('storage-daemon', ...node, '--export', 'nbd,id=e,node-name=n,iothread=i0');
  assert.equal(code, 1);
  assert.match(stderr, /iothread "i0" not found\n$/);
});
