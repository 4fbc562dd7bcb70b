// Which closes are made at once, and what becomes of the others?
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { closeAtOnce, closeUnattended, O, pipe, socketPair } from '../../src/addon/index.ts';
import { fuseSkipReason, FuseFile } from '../fuse-file.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';

checkOpenFds();

async function untilClosed(fd: number): Promise<void> {
  for (let tries = 0; openFds().has(fd); tries++) {
    if (tries > 500) throw new Error(`${fd} is still open`);
    await sleep(10);
  }
}

test('pipes, sockets and /dev/null are closed at once', () => {
  for (const fd of [...pipe(), ...socketPair(), openSync('/dev/null', 'r'), openSync('/dev/zero', O.O_PATH)]) {
    assert.equal(closeAtOnce(fd), true);
    assert.equal(openFds().has(fd), false);
  }
});

test('a file whose server is asked is not, but soon', async () => {
  const fd = openSync('/proc/self/status', 'r'); // no device either, and no server: that cannot be told
  assert.equal(closeAtOnce(fd), false);
  readSync(fd, Buffer.alloc(1));
  closeUnattended(fd);
  await untilClosed(fd);
});

test('an fd that is not open is an error of its own', () => {
  const fd = openSync('/dev/null', 'r');
  closeSync(fd);
  assert.throws(() => closeAtOnce(fd), { errnoName: 'EBADF' });
  assert.throws(() => closeUnattended(fd), { errnoName: 'EBADF' });
});

test('a terminal is not closed at once', { skip: existsSync('/dev/ptmx') ? false : 'no /dev/ptmx' }, async () => {
  const fd = openSync('/dev/ptmx', O.O_RDWR | O.O_NOCTTY);
  assert.equal(closeAtOnce(fd), false);
  closeUnattended(fd);
  await untilClosed(fd);
});

test('connections of Node go on beside closes in the pool', async () => {
  const server = createServer((socket) => socket.end('x')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (let index = 0; index < 20; index++) closeUnattended(openSync('/proc/self/status', 'r'));
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  assert.equal(String((await once(client, 'data'))[0]), 'x');
  server.close();
  await once(client.resume(), 'close');
});

test('closes that hang hold up neither the caller nor each other', { skip: fuseSkipReason() }, async () => {
  const file = await FuseFile.mount(4096);
  try {
    const dead = Array.from({ length: 20 }, () => openSync(file.path, 'r'));
    await file.set('flush', 'hang');
    await file.set('getattr', 'hang');
    for (const fd of dead) closeUnattended(fd);
    await file.untilKept(16);
    assert.equal(closeAtOnce(openSync('/dev/null', 'r')), true);
    await sleep(50);
    assert.equal(await file.kept(), 16, 'more closes hang than may take a thread');
    await file.set('flush', 'ok');
    await file.set('getattr', 'ok');
    await file.release();
    for (const fd of dead) await untilClosed(fd);
  } finally {
    await file.release();
    await file.close();
  }
});
