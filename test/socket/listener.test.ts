// Where do connections come from, who may make them, and what happens to those that cannot be served yet?
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { socketMake, socketPair, unixAddress, socketBind, pipe, closeFd } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import {
  adoptListener,
  connectInet,
  connectUnix,
  formatAddress,
  type Listener,
  listenInet,
  listenUnix,
} from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { runLimited } from './limited-process.ts';
import { Deferred, temporaryFolder, turns, unreferencedChannel, until } from './socket-peers.ts';

checkOpenFds();

/** Connects, and closes both ends of what was accepted. */
async function checkServed(listener: Listener, connect: () => Promise<OwnedFd>): Promise<void> {
  const accepted = new Deferred<OwnedFd>();
  listener.onConnection = (fd) => accepted.resolve(fd);
  const client = await connect();
  (await accepted.promise).close();
  client.close();
}

describe('a listener', () => {
  const folder = temporaryFolder();
  let count = 0;
  const newPath = (): string => join(folder, `${++count}.sock`);

  test('serves a path, and removes its file when it is closed', async () => {
    const path = newPath();
    const listener = listenUnix(path);
    assert.deepEqual(listener.address, { type: 'unix', path });
    await checkServed(listener, () => connectUnix(path));
    assert.equal(statSync(path).isSocket(), true);
    listener.close();
    listener.close();
    assert.equal(existsSync(path), false);
  });

  test('leaves a file alone that has taken the place of its own', () => {
    const path = newPath();
    const listener = listenUnix(path);
    renameSync(path, `${path}.old`);
    writeFileSync(path, 'not ours');
    listener.close();
    assert.equal(readFileSync(path, 'utf8'), 'not ours');
  });

  test('serves an abstract name, which no file stands for', async () => {
    const name = `@fdset-test-${process.pid}-ä`;
    const listener = listenUnix(name);
    assert.deepEqual(listener.address, { type: 'unix', path: name });
    await checkServed(listener, () => connectUnix(name));
    assert.throws(() => listenUnix(name), { errnoName: 'EADDRINUSE', syscall: 'bind' });
    listener.close();
    assert.equal(existsSync(name), false);
  });

  test('serves TCP, on a free port where 0 was asked for', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const listener = listenInet(host, 0);
      assert.ok(listener.address.type === 'inet' && listener.address.port > 0);
      const { port } = listener.address;
      assert.equal(formatAddress(listener.address), host === '::1' ? `[::1]:${port}` : `127.0.0.1:${port}`);
      await checkServed(listener, () => connectInet(host, port));
      assert.throws(() => listenInet(host, port), { errnoName: 'EADDRINUSE' });
      listener.close();
    }
    assert.throws(() => listenInet('localhost', 0), { errnoName: 'EINVAL' });
  });

  test('on :: serves IPv4, too', async () => {
    const listener = listenInet('::', 0);
    assert.ok(listener.address.type === 'inet');
    const { port } = listener.address;
    await checkServed(listener, () => connectInet('127.0.0.1', port));
    listener.close();
  });

  test('carries bytes over TCP through the same channel', async () => {
    const listener = listenInet('127.0.0.1', 0);
    const got: string[] = [];
    listener.onConnection = (fd) => {
      unreferencedChannel(fd, {
        data: (channel, bytes) => void channel.write(Buffer.from(bytes)),
        end: (channel) => channel.end(),
      });
    };
    assert.ok(listener.address.type === 'inet');
    const client = unreferencedChannel(await connectInet('localhost', listener.address.port), {
      data: (_, bytes) => void got.push(Buffer.from(bytes).toString()),
    });
    assert.equal(client.peerCred(), undefined);
    client.write('hello');
    await until(() => got.join('') === 'hello');
    client.end();
    await until(() => client.destroyed);
    listener.close();
  });

  test('replaces a socket that is there already, but nothing else', () => {
    const path = newPath();
    const stale = new OwnedFd(socketMake(unixAddress(Buffer.from(path))));
    socketBind(stale.fd, unixAddress(Buffer.from(path)));
    stale.close();
    assert.equal(statSync(path).isSocket(), true);
    listenUnix(path).close();
    for (const make of [
      (file: string) => writeFileSync(file, 'precious'),
      (file: string) => mkdirSync(file),
      (file: string) => symlinkSync('/nowhere', file),
    ]) {
      const taken = newPath();
      make(taken);
      assert.throws(() => listenUnix(taken), { errnoName: 'EADDRINUSE', syscall: 'bind' });
    }
  });

  test('gives its file the mode that was asked for, whatever the umask', () => {
    for (const umask of [0o000, 0o022, 0o777]) {
      for (const mode of [0o600, 0o660, 0o777, 0o000]) {
        const path = newPath();
        const old = process.umask(umask);
        const listener = listenUnix(path, { mode });
        process.umask(old);
        assert.equal((statSync(path).mode & 0o777).toString(8), mode.toString(8));
        listener.close();
      }
    }
    const path = newPath();
    const old = process.umask(0o027);
    const listener = listenUnix(path);
    process.umask(old);
    assert.equal(statSync(path).mode & 0o777, 0o750);
    listener.close();
  });

  test('takes paths of up to 108 bytes', async () => {
    const path = join(folder, 'x'.repeat(108 - folder.length - 1));
    assert.equal(path.length, 108);
    const listener = listenUnix(path);
    await checkServed(listener, () => connectUnix(path));
    listener.close();
    assert.equal(existsSync(path), false);
    assert.throws(() => listenUnix(`${path}x`), { errnoName: 'ENAMETOOLONG' });
    assert.throws(() => listenUnix(join(folder, 'ü'.repeat(50))), { errnoName: 'ENAMETOOLONG' });
    assert.throws(() => listenUnix(''), TypeError);
    assert.throws(() => listenUnix('a\0b'), TypeError);
    assert.throws(() => listenUnix(join(folder, 'no', 'folder')), { errnoName: 'ENOENT', syscall: 'bind' });
  });

  test('leaves a connection to its handler, also where that takes itself away', async () => {
    const path = newPath();
    const listener = listenUnix(path);
    const accepted = new Deferred<OwnedFd>();
    listener.onConnection = (fd) => {
      listener.onConnection = undefined;
      accepted.resolve(fd);
    };
    const client = await connectUnix(path);
    const fd = await accepted.promise;
    assert.equal(fd.closed, false);
    listener.close();
    for (const end of [fd, client]) end.close();
  });

  test('leaves clients in the backlog while it is paused or has no handler', async () => {
    const path = newPath();
    const listener = listenUnix(path);
    const accepted: OwnedFd[] = [];
    const clients = [await connectUnix(path)];
    await turns();
    listener.pause();
    listener.onConnection = (fd) => {
      accepted.push(fd);
      listener.pause();
    };
    clients.push(await connectUnix(path));
    await turns();
    assert.equal(accepted.length, 0);
    listener.resume();
    await turns(5);
    assert.equal(accepted.length, 1, 'pausing in the handler stops at once');
    listener.resume();
    await until(() => accepted.length === 2);
    listener.close();
    for (const fd of [...accepted, ...clients]) fd.close();
  });

  test('serves a listening socket that somebody else has made, and keeps its file', async () => {
    const path = newPath();
    const address = unixAddress(Buffer.from(path));
    for (const listening of [true, false]) {
      const fd = new OwnedFd(socketMake(address));
      if (listening) socketBind(fd.fd, address);
      else socketBind(fd.fd, unixAddress(Buffer.from(`${path}2`)));
      const at = listening ? path : `${path}2`;
      const listener = adoptListener(fd);
      assert.equal(fd.closed, true);
      assert.deepEqual(listener.address, { type: 'unix', path: at });
      await checkServed(listener, () => connectUnix(at));
      listener.close();
      assert.equal(existsSync(at), true);
    }
  });

  test('does not serve what is no listening socket, and closes it', () => {
    const [left, right] = socketPair();
    const connected = new OwnedFd(left);
    assert.throws(() => adoptListener(connected), { errnoName: 'EINVAL', syscall: 'listen' });
    assert.equal(connected.closed, true);
    closeFd(right);
    const [readEnd, writeEnd] = pipe();
    assert.throws(() => adoptListener(new OwnedFd(readEnd)), { errnoName: 'ENOTSOCK' });
    closeFd(writeEnd);
  });

  test('can be closed by its own handler', async () => {
    const path = newPath();
    const listener = listenUnix(path);
    const accepted: OwnedFd[] = [];
    listener.onConnection = (fd) => {
      accepted.push(fd);
      listener.close();
    };
    const clients = [await connectUnix(path), await connectUnix(path)];
    await turns(5);
    assert.equal(accepted.length, 1);
    for (const fd of [...accepted, ...clients]) fd.close();
  });

  test('out of fds it lets clients wait, without spinning, and serves them later', () => {
    const result = runLimited('accept-beyond-limit', 72) as { acceptedAtLimit: number };
    assert.ok(result.acceptedAtLimit < 8);
    assert.deepEqual(result, { ...result, spins: false, acceptedLater: 8 });
  });

  test('what it has accepted can be made into a net.Socket', async () => {
    const path = newPath();
    const listener = listenUnix(path);
    const accepted = new Deferred<OwnedFd>();
    listener.onConnection = (fd) => accepted.resolve(fd);
    const got: string[] = [];
    const client = unreferencedChannel(await connectUnix(path), {
      data: (_, bytes) => void got.push(Buffer.from(bytes).toString()),
    });
    const socket = new net.Socket({ fd: (await accepted.promise).move(), readable: true, writable: true });
    socket.on('data', (bytes) => socket.end(`echo ${bytes.toString()}`));
    client.write('x');
    await until(() => got.join('') === 'echo x');
    const closed = new Deferred();
    socket.on('close', () => closed.resolve());
    client.end();
    await closed.promise;
    client.destroy();
    listener.close();
  });
});
