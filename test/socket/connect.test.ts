// How does an attempt to connect end?
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { socketBind, socketMake, unixAddress } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { connectInet, connectUnix, listenInet, listenUnix } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from './socket-peers.ts';

checkOpenFds();

describe('connecting', () => {
  const folder = temporaryFolder();

  test('says what is wrong', async () => {
    const path = join(folder, 'bound');
    const bound = new OwnedFd(socketMake(unixAddress(Buffer.from(path))));
    socketBind(bound.fd, unixAddress(Buffer.from(path)));
    await assert.rejects(connectUnix(path), { errnoName: 'ECONNREFUSED', syscall: 'connect' });
    bound.close();
    await assert.rejects(connectUnix(join(folder, 'none')), { errnoName: 'ENOENT' });
    await assert.rejects(connectUnix('@fdset-test-nobody'), { errnoName: 'ECONNREFUSED' });
    await assert.rejects(connectUnix(`${folder}/${'x'.repeat(108)}`), { errnoName: 'ENAMETOOLONG' });
    await assert.rejects(connectUnix(''), TypeError);
  });

  test('over TCP says it too, and takes a name', async () => {
    const listener = listenInet('127.0.0.1', 0);
    assert.ok(listener.address.type === 'inet');
    const { port } = listener.address;
    (await connectInet('localhost', port)).close();
    listener.close();
    await assert.rejects(connectInet('127.0.0.1', port), { errnoName: 'ECONNREFUSED', syscall: 'connect' });
    await assert.rejects(connectInet('host.invalid', port), { syscall: 'getaddrinfo' });
  });

  test('waits where the backlog is full, and gets its turn', async () => {
    const path = join(folder, 'busy');
    const listener = listenUnix(path, { backlog: 1 });
    const clients = await Promise.all([connectUnix(path), connectUnix(path)]);
    let connected = false;
    const late = connectUnix(path).then((fd) => {
      connected = true;
      clients.push(fd);
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(connected, false);
    listener.onConnection = (fd) => fd.close();
    await late;
    for (const fd of clients) fd.close();
    listener.close();
  });

  test('gives up after a time, or when it is told to', async () => {
    const path = join(folder, 'full');
    const listener = listenUnix(path, { backlog: 1 });
    const clients = await Promise.all([connectUnix(path), connectUnix(path)]);
    await assert.rejects(connectUnix(path, { timeoutMs: 20 }), { code: 'ERR_FDSET_CONNECT_TIMEOUT' });
    const reason = new Error('never mind');
    const abort = new AbortController();
    setTimeout(() => abort.abort(reason), 10);
    await assert.rejects(connectUnix(path, { signal: abort.signal }), reason);
    await assert.rejects(connectUnix(path, { signal: AbortSignal.abort(reason) }), reason);
    for (const fd of clients) fd.close();
    listener.close();
  });

  test('over TCP gives up where nobody answers', async () => {
    // A backlog that is full drops the handshake: no answer at all.
    const listener = listenInet('127.0.0.1', 0, { backlog: 0 });
    assert.ok(listener.address.type === 'inet');
    const { port } = listener.address;
    const attempts = Array.from({ length: 4 }, () => connectInet('127.0.0.1', port, { timeoutMs: 150 }));
    const results = await Promise.allSettled(attempts);
    const rejected = results.filter((result) => result.status === 'rejected');
    assert.ok(rejected.length > 0, 'all were answered: this tests nothing');
    for (const { reason } of rejected) {
      assert.equal((reason as { code: string }).code, 'ERR_FDSET_CONNECT_TIMEOUT');
    }
    for (const result of results) if (result.status === 'fulfilled') result.value.close();
    listener.close();
  });
});
