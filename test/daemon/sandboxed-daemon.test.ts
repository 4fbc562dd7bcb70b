// The whole daemon at work behind closed doors: monitor, fd sets, nodes, exports, from fds alone.
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { landlockAbi, seccompAvailable } from '../../src/addon/index.ts';
import { QmpClient, type ExecuteOptions } from '../../src/client/index.ts';
import type { JsonOutput } from '../../src/json/index.ts';
import { NbdClient } from '../../src/nbd/index.ts';
import { listenUnix } from '../../src/socket/index.ts';
import { FdsetProcess } from '../cli/fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const skip = (landlockAbi() < 3 || !seccompAvailable()) && 'needs Landlock ABI 3 and seccomp';
const folder = temporaryFolder();
const size = 4 * 1024 * 1024;

async function startDaemon(socket: string): Promise<FdsetProcess> {
  const chardev = ['--chardev', `socket,id=c,path=${socket},server=on,wait=off`];
  const daemon = new FdsetProcess('storage-daemon', '--sandbox', 'on', ...chardev, '--monitor', 'c');
  for (let tries = 0; !daemon.stderr.includes('sandbox:') && tries < 500; tries++) await sleep(20);
  assert.match(daemon.stderr, /sandbox: Landlock ABI \d+, seccomp/);
  return daemon;
}

/** One client's share: writes, zeroes, discards and reads in its own quarter, many requests at a time. */
async function workThrough(path: string, quarter: number): Promise<void> {
  const client = await NbdClient.connect({ path }, { exportName: 'disk' });
  const [start, block] = [(quarter * size) / 4, 65536];
  const offsets = Array.from({ length: 8 }, (_, i) => start + i * block);
  await Promise.all(offsets.map((offset, i) => client.write(offset, Buffer.alloc(block, 16 * quarter + i + 1))));
  await client.flush();
  await client.writeZeroes(start, 4096);
  await client.trim(start + block, 4096);
  await client.blockStatus(start, size / 4);
  const read = await Promise.all(offsets.slice(2).map((offset) => client.read(offset, block)));
  read.forEach((bytes, i) => assert.deepEqual(bytes, Buffer.alloc(block, 16 * quarter + i + 3)));
  await client.disconnect();
}

test('a sandboxed daemon serves what it is passed, from the first fd to the last', { skip }, async () => {
  const [socket, nbd, image] = [join(folder, 'qmp'), join(folder, 'nbd'), join(folder, 'image')];
  writeFileSync(image, Buffer.alloc(size));
  const daemon = await startDaemon(socket);
  const client = await QmpClient.connect(socket);
  const run = (name: string, args?: Record<string, JsonOutput>, options?: ExecuteOptions) =>
    client.execute(name, args, options);

  const listener = listenUnix(nbd);
  await run('getfd', { fdname: 'listening' }, { fds: [listener.fd] });
  await run('nbd-server-start', { addr: { type: 'fd', data: { str: 'listening' } } });
  const fd = openSync(image, 'r+');
  await run('add-fd', { 'fdset-id': 1 }, { fds: [fd] });
  closeSync(fd);
  await run('blockdev-add', { driver: 'file', 'node-name': 'n', filename: '/dev/fdset/1' });
  await run('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'n', name: 'disk', writable: true });

  await Promise.all([0, 1, 2, 3].map((quarter) => workThrough(nbd, quarter)));
  for (const query of ['query-fdsets', 'query-named-block-nodes', 'query-block-exports', 'query-qmp-schema']) {
    assert.ok(Array.isArray(await run(query)), query);
  }

  await run('block-export-del', { id: 'e' });
  await run('blockdev-del', { 'node-name': 'n' });
  await run('remove-fd', { 'fdset-id': 1 });
  await run('nbd-server-stop');
  listener.close();
  await run('quit');
  await client.close();
  await new Promise((resolve) => daemon.child.once('close', resolve));
  assert.equal(daemon.child.exitCode, 0, daemon.stderr);
  assert.equal(existsSync(socket), false);
  assert.deepEqual(readFileSync(image).subarray(131_072, 131_073), Buffer.of(3));
});

test('commands that need a path are refused as a file would be', { skip }, async () => {
  const socket = join(folder, 'qmp-refused');
  const daemon = await startDaemon(socket);
  const client = await QmpClient.connect(socket);
  const refusals: [string, Record<string, JsonOutput>, RegExp][] = [
    [
      'blockdev-add',
      { driver: 'file', 'node-name': 'n', filename: '/etc/passwd', 'read-only': true },
      /Could not open '\/etc\/passwd': Permission denied/,
    ],
    ['nbd-server-start', { addr: { type: 'unix', data: { path: join(folder, 'never') } } }, /Permission denied/],
    ['nbd-server-start', { addr: { type: 'inet', data: { host: '127.0.0.1', port: '0' } } }, /Permission denied/],
  ];
  for (const [name, args, message] of refusals) {
    await assert.rejects(client.execute(name, args), { name: 'QmpError', message });
  }
  await client.close();
  const { code } = await daemon.end('SIGTERM');
  assert.equal(code, 0, daemon.stderr);
});
