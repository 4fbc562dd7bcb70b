import assert from 'node:assert/strict';
import { type Socket } from 'node:net';
import { suite, test } from 'node:test';

import { openSync, readdirSync } from 'node:fs';

import { OwnedFd } from '../../src/fds/index.ts';
import { NbdServer, disconnected } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { hex } from './hex.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect, connectSocket, deferred, until } from './serve.ts';

checkOpenFds();

const GO_X = "00000003 'IHAVEOPT' 00000007 00000007 00000001 'x' 0000";
const READ = '25609513 0000 0000 1111111122222222 0000000000000000 00000001';

class FakeListener {
  onConnection: ((fd: OwnedFd) => void) | undefined;
  readonly events: string[] = [];
  pause(): void {
    this.events.push('pause');
  }
  resume(): void {
    this.events.push('resume');
  }
  close(): void {
    this.events.push('close');
  }
}

function serve(options = {}, diskSize = 1 << 20) {
  const listener = new FakeListener();
  const server = new NbdServer(options);
  server.listen(listener);
  const disk = new MemoryDisk(diskSize);
  const x = server.addExport({ id: 'e', name: 'x', writable: true, backend: disk });
  return { listener, server, disk, x };
}

/** Resolves when the peer has closed; what came before is dropped. */
function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

suite('exports', () => {
  test('flags are those of QEMU, without multi-conn where only one client can be', () => {
    const flags = (maxConnections: number, writable: boolean) =>
      new NbdServer({ maxConnections }).addExport({ name: '', writable, backend: new MemoryDisk(512) }).flags;
    assert.equal(flags(100, false), 1295);
    assert.equal(flags(100, true), 3437);
    assert.equal(flags(0, true), 3437);
    assert.equal(flags(1, false), 1295 - 256);
    assert.equal(flags(1, true), 3181);
  });

  test('block sizes come from the disk', () => {
    const sizes = (limits: MemoryDisk['limits']) => {
      const backend = Object.assign(new MemoryDisk(1 << 20), { limits });
      return new NbdServer().addExport({ name: '', backend }).blockSizes;
    };
    const most = 32 << 20;
    assert.deepEqual(sizes({ requestAlignment: 1, optimalTransfer: 0, maxTransfer: 0 }), {
      minimum: 1,
      preferred: 4096,
      maximum: most,
    });
    assert.deepEqual(sizes({ requestAlignment: 512, optimalTransfer: 1_000_000, maxTransfer: 1 << 20 }), {
      minimum: 512,
      preferred: 524_288,
      maximum: 1 << 20,
    });
    assert.deepEqual(sizes({ requestAlignment: 4096, optimalTransfer: 1 << 30, maxTransfer: 2 ** 40 }), {
      minimum: 4096,
      preferred: 1 << 25,
      maximum: most,
    });
  });

  test('what cannot be exported is refused with the texts of QEMU', () => {
    const { server } = serve();
    const backend = new MemoryDisk(512);
    const refuses = (options: object, message: string) =>
      assert.throws(() => server.addExport({ name: 'y', backend, ...options }), { message });
    refuses({ name: 'x' }, "NBD server already has export named 'x'");
    refuses({ name: 'n'.repeat(4097) }, `export name '${'n'.repeat(4097)}' too long`);
    refuses({ description: 'd'.repeat(4097) }, `description '${'d'.repeat(4097)}' too long`);
    refuses({ name: 'ö'.repeat(2049) }, `export name '${'ö'.repeat(2049)}' too long`);
    backend.readOnly = true;
    refuses({ writable: true, name: 'n'.repeat(4097) }, 'Cannot export read-only node as writable');
    assert.equal(server.addExport({ name: 'n'.repeat(4096), backend }).writable, false);
  });

  test('an export without clients closes at once and its name is free', async () => {
    const { server, x } = serve();
    await server.removeExport('x');
    assert.equal(x.shuttingDown, true);
    assert.equal(server.find('x'), undefined);
    server.addExport({ name: 'x', backend: new MemoryDisk(512) });
    await assert.rejects(server.removeExport('y'), { message: "Export 'y' is not found" });
  });

  test('mode safe refuses while a client is connected and leaves it alone', async () => {
    const { server, x } = serve();
    const client = await connect(server, { exportName: 'x' });
    assert.equal(x.clients, 1);
    await assert.rejects(x.close('safe'), { message: "export 'e' still in use" });
    assert.equal(x.shuttingDown, false);
    assert.equal((await client.read(0, 4)).length, 4);
    await client.disconnect();
    await until('the client is gone', () => x.clients === 0);
    await x.close('safe');
  });

  test('mode hard disconnects the clients and resolves when the last is gone', async () => {
    const { server, x } = serve();
    const clients = [await connect(server, { exportName: 'x' }), await connect(server, { exportName: 'x' })];
    await x.close('hard');
    assert.equal(x.clients, 0);
    for (const client of clients) {
      await assert.rejects(client.read(0, 1), { code: 'ERR_FDSET_NBD_PROTOCOL' });
      await client.disconnect();
    }
    await assert.rejects(connect(server, { exportName: 'x' }), { value: 0x80000006 });
  });

  test('mode hard waits for requests that are with the disk', async () => {
    const { server, x, disk } = serve();
    const slow = deferred();
    disk.before = () => slow.promise;
    const client = await connect(server, { exportName: 'x' });
    const write = client.write(0, Buffer.from('late'));
    await until('the write is with the disk', () => x.requestsInFlight === 1);
    let isClosed = false;
    const closing = x.close('hard').then(() => (isClosed = true));
    await assert.rejects(write);
    await until('the client is gone', () => x.clients === 0);
    assert.equal(isClosed, false);
    slow.resolve();
    await closing;
    assert.equal(disk.bytes.toString('latin1', 0, 4), 'late');
  });

  test('a disk that hangs does not hold up mode hard for ever', async () => {
    const { server, x, disk } = serve({ requestPatienceMs: 20 });
    disk.before = () => deferred().promise;
    const client = await connect(server, { exportName: 'x' });
    const read = client.read(0, 1);
    await until('the read is with the disk', () => x.requestsInFlight === 1);
    await Promise.all([x.close('hard'), assert.rejects(read)]);
    assert.equal(x.requestsInFlight, 1);
  });

  test('an export that waits for its last client can still be closed hard, and both calls resolve', async () => {
    const { server, x, disk } = serve();
    const slow = deferred();
    disk.before = () => slow.promise;
    const socket = connectSocket(server);
    socket.write(hex(GO_X + READ));
    await until('the read is with the disk', () => x.requestsInFlight === 1);
    socket.destroy();
    await until('the client is gone', () => x.clients === 0);
    const both = Promise.all([x.close('safe'), x.close('hard')]);
    slow.resolve();
    await both;
  });
});

suite('connections', () => {
  test('with max-connections clients the listener pauses, and resumes when one leaves', async () => {
    const { server, listener } = serve({ maxConnections: 2 });
    const first = connectSocket(server);
    assert.deepEqual(listener.events, []);
    const second = connectSocket(server);
    assert.deepEqual(listener.events, ['pause']);
    assert.equal(server.connections, 2);
    first.destroy();
    await until('the first is gone', () => server.connections === 1);
    assert.deepEqual(listener.events, ['pause', 'resume']);
    second.destroy();
    await server.stop();
    assert.deepEqual(listener.events, ['pause', 'resume', 'close']);
  });

  test('a client that has left keeps its place until the disk has answered', async () => {
    const { server, listener, disk, x } = serve({ maxConnections: 1 });
    const slow = deferred();
    disk.before = () => slow.promise;
    const socket = connectSocket(server);
    socket.write(hex(GO_X + READ + READ));
    await until('the reads are with the disk', () => x.requestsInFlight === 2);
    socket.destroy();
    await until('the client is gone', () => server.connections === 0);
    assert.deepEqual(listener.events, ['pause']);
    slow.resolve();
    await until('its place is free', () => listener.events.length === 2);
    assert.deepEqual(listener.events, ['pause', 'resume']);
    await server.stop();
  });

  test('max-connections 0 is no limit', async () => {
    const { server, listener } = serve({ maxConnections: 0 });
    const sockets = Array.from({ length: 120 }, () => connectSocket(server));
    assert.deepEqual(listener.events, []);
    for (const socket of sockets) socket.destroy();
    await server.stop();
  });

  test('something that is no socket is closed, and counts for nothing', async () => {
    const { server } = serve();
    const before = readdirSync('/proc/self/fd').length;
    server.accept(new OwnedFd(openSync('/proc/self/status', 'r')));
    assert.equal(server.connections, 0);
    await until('the fd is closed', () => readdirSync('/proc/self/fd').length === before);
  });

  test('a client that does not choose an export in time is disconnected', async () => {
    const { server } = serve({ handshakeMaxSeconds: 0.03 });
    await Promise.all([closed(connectSocket(server)), closed(connectSocket(server))]);
    await until('both are gone', () => server.connections === 0);
  });

  test('a client that sends its options byte by byte is disconnected as well', async () => {
    const { server } = serve({ handshakeMaxSeconds: 0.1 });
    const socket = connectSocket(server);
    const gone = closed(socket);
    const bytes = hex(GO_X).subarray(0, -1);
    for (let at = 0; !socket.destroyed; at = Math.min(at + 1, bytes.length - 1)) {
      socket.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (at === bytes.length - 1) break;
    }
    await gone;
    await until('it is gone', () => server.connections === 0);
  });

  test('a client that has chosen may take all the time it wants', async () => {
    const { server } = serve({ handshakeMaxSeconds: 0.03 });
    const client = await connect(server, { exportName: 'x' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await client.read(0, 1)).length, 1);
    await client.disconnect();
  });

  test('a thousand half-open connections cost no answer to the one that talks', async () => {
    const { server } = serve({ maxConnections: 0, handshakeMaxSeconds: 0 });
    const sockets = Array.from({ length: 1000 }, () => connectSocket(server));
    for (const socket of sockets) socket.write(hex("00000003 'IHAVE"));
    const client = await connect(server, { exportName: 'x' });
    assert.equal((await client.read(0, 512)).length, 512);
    assert.equal(server.connections, 1001);
    await client.disconnect();
    await server.stop();
    for (const socket of sockets) socket.destroy();
  });

  test('why a connection ended is published', async () => {
    const { server } = serve();
    const reasons: string[] = [];
    const listener = (message: unknown) => void reasons.push((message as { reason: string }).reason);
    disconnected.subscribe(listener);
    const talk = async (text: string) => {
      const socket = connectSocket(server);
      const gone = closed(socket);
      socket.write(hex(text));
      await gone;
    };
    await talk("00000003 'IHAVEOPX' 00000003 00000000");
    await talk(`${GO_X} ${'00'.repeat(28)}`);
    await talk(`${GO_X} 25609513 0000 0002 ${'00'.repeat(20)}`);
    const socket = connectSocket(server);
    socket.write(hex(GO_X));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await until('all are gone', () => server.connections === 0);
    disconnected.unsubscribe(listener);
    assert.deepEqual(reasons, ['Bad magic received', 'invalid request magic', 'client disconnected', 'client left']);
  });
});

suite('stop', () => {
  test('all clients are disconnected and all exports closed', async () => {
    const { server, listener, x } = serve();
    const y = server.addExport({ name: 'y', backend: new MemoryDisk(512) });
    const client = await connect(server, { exportName: 'x' });
    const half = connectSocket(server);
    const gone = closed(half);
    await Promise.all([server.stop(), server.stop(), gone]);
    await assert.rejects(client.read(0, 1));
    assert.deepEqual([x.shuttingDown, y.shuttingDown, server.connections], [true, true, 0]);
    assert.deepEqual(listener.events, ['close']);
    assert.throws(() => server.addExport({ name: 'z', backend: new MemoryDisk(512) }), {
      message: 'NBD server not running',
    });
    const late = connectSocket(server);
    assert.equal(server.connections, 0);
    await closed(late);
  });
});
