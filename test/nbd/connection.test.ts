// What happens on the wire when a client misbehaves: leaves in the middle, does not read, sends too much.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NbdServer } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { hex } from './hex.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect, connectSocket, deferred, until } from './serve.ts';

checkOpenFds();

const GO_X = "00000003 'IHAVEOPT' 00000007 00000007 00000001 'x' 0000";

function serve(size = 1 << 20) {
  const server = new NbdServer();
  const disk = new MemoryDisk(size);
  const x = server.addExport({ name: 'x', writable: true, backend: disk });
  return { server, disk, x };
}

function request(type: number, offset: number, length: number): Buffer {
  const header = hex('25609513 0000 0000 1111111122222222 0000000000000000 00000000');
  header.writeUInt16BE(type, 6);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header;
}

/** Timers that keep this process alive, by the names that Node gives them. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

for (const [what, sent] of [
  ['in the middle of a small payload', 100],
  ['in the middle of a large payload', 900_000],
] as const) {
  test(`a client that leaves ${what} has written nothing`, async () => {
    const { server, disk, x } = serve();
    const socket = connectSocket(server);
    socket.write(hex(GO_X));
    socket.write(request(1, 0, 1 << 20));
    socket.write(Buffer.alloc(sent, 0x61));
    await until('the client has chosen', () => x.clients === 1);
    await until('all is sent', () => socket.writableLength === 0);
    socket.destroy();
    await until('the client is gone', () => server.connections === 0);
    assert.deepEqual(disk.calls, []);
    assert.ok(disk.bytes.every((byte) => byte === 0));
    await server.stop();
  });
}

test('a client that leaves with requests under way leaves no fd and no timer behind', async () => {
  const { server, disk, x } = serve();
  const before = timers();
  const slow = deferred();
  disk.before = () => slow.promise;
  const socket = connectSocket(server);
  socket.write(hex(GO_X));
  socket.write(Buffer.concat(Array.from({ length: 200 }, () => request(0, 0, 65536))));
  await until('the slots are taken', () => x.requestsInFlight === 64);
  socket.destroy();
  // Reading is paused, so the end is noticed when the requests have somewhere to go.
  slow.resolve();
  await until('the client is gone', () => server.connections === 0 && x.requestsInFlight === 0);
  await until('no timer is left', () => timers() <= before);
  await server.stop();
});

test('a client that leaves while the disk hangs is gone all the same', async () => {
  const { server, disk, x } = serve();
  disk.before = () => deferred().promise;
  const socket = connectSocket(server);
  socket.write(hex(GO_X));
  socket.write(request(0, 0, 65536));
  await until('the read is with the disk', () => x.requestsInFlight === 1);
  socket.destroy();
  await until('the client is gone', () => server.connections === 0);
  assert.equal(x.clients, 0);
});

test('a client that never reads is served only so far', async () => {
  const { server, disk, x } = serve(8 << 20);
  const socket = connectSocket(server);
  socket.pause();
  socket.write(hex(GO_X));
  const many = 10_000;
  socket.write(Buffer.concat(Array.from({ length: many }, () => request(0, 0, 1 << 20))));
  await until('nothing more happens', () => disk.calls.length >= 64 && x.requestsInFlight === 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(disk.calls.length < 100, `${disk.calls.length} reads for a client that reads nothing`);
  assert.equal(server.connections, 1);
  socket.destroy();
  await server.stop();
});

test('a client that never reads its option replies is answered only so far', async () => {
  const { server } = serve();
  for (let count = 0; count < 200; count++) {
    server.addExport({ name: `${count}`, description: 'd'.repeat(4000), backend: new MemoryDisk(512) });
  }
  const socket = connectSocket(server);
  socket.pause();
  const list = hex("'IHAVEOPT' 00000003 00000000");
  socket.write(Buffer.concat([hex('00000003'), ...Array.from({ length: 4000 }, () => list)]));
  await until('all is sent', () => socket.writableLength === 0);
  const grown = process.memoryUsage().arrayBuffers;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(process.memoryUsage().arrayBuffers - grown < 64 << 20, 'four thousand lists are 3 GB');
  socket.write(Buffer.alloc(16 << 20));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(socket.writableLength > 0, 'the server has stopped reading');
  // Read at last, it gets every answer.
  let bytes = 0;
  socket.on('data', (chunk) => (bytes += chunk.length));
  socket.resume();
  await until('a good part has come', () => bytes > 10_000_000);
  socket.destroy();
  await server.stop();
});

test('requests in one packet with the handshake are served', async () => {
  const { server } = serve();
  const socket = connectSocket(server);
  socket.write(Buffer.concat([hex(GO_X), request(0, 0, 4), request(2, 0, 0)]));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => void chunks.push(chunk));
  await new Promise((resolve) => socket.once('close', resolve));
  const reply = Buffer.concat(chunks).subarray(-20);
  assert.deepEqual(reply, hex('67446698 00000000 1111111122222222 00000000'));
});

test('large payloads arrive whole, whatever is sent around them', async () => {
  const { server, disk } = serve(64 << 20);
  const client = await connect(server, { exportName: 'x' });
  const sizes = [1, 65_535, 65_536, 65_537, 262_144, 1_000_003, 4 << 20, 32 << 20];
  let offset = 0;
  const writes: Promise<void>[] = [];
  const expected: Buffer[] = [];
  for (const [index, size] of sizes.entries()) {
    const data = Buffer.alloc(size, index + 1);
    data.writeUInt8(0xff, size - 1);
    expected.push(data);
    writes.push(client.write(offset, data), client.flush());
    offset += size;
  }
  await Promise.all(writes);
  assert.ok(disk.bytes.subarray(0, offset).equals(Buffer.concat(expected)));
  const back = await Promise.all(
    Array.from({ length: 4 }, (_, index) => client.read(index * (8 << 20), 8 << 20, { oneChunk: index % 2 === 0 })),
  );
  assert.ok(Buffer.concat(back).equals(disk.bytes.subarray(0, 32 << 20)));
  await client.disconnect();
  await server.stop();
});

test('a server that is stopped in the middle of everything leaves nothing open', async () => {
  const { server, disk } = serve();
  disk.before = () => new Promise((resolve) => setTimeout(resolve, 5));
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(server, { exportName: 'x' })));
  const requests = clients.flatMap((client) => [
    client.read(0, 1 << 20),
    client.write(0, Buffer.alloc(1 << 20)),
    client.flush(),
  ]);
  const outcomes = Promise.allSettled(requests);
  await server.stop();
  assert.ok((await outcomes).length === 30);
});
