// Whatever bytes a client sends, the server neither throws nor hangs, and goes on serving others.
import { test } from 'node:test';
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import { NbdServer } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { hex } from './hex.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect, connectSocket, until } from './serve.ts';

checkOpenFds();

const bytes = (size: number) => fc.uint8Array({ maxLength: size }).map((array) => Buffer.from(array));
const small = (max: number) => fc.nat(max).map((value) => hex(value.toString(16).padStart(8, '0')));

/** An option that is nearly right. */
const option = fc
  .tuple(
    fc.nat(12),
    fc.oneof(
      bytes(40),
      fc.tuple(small(6), bytes(20)).map((parts) => Buffer.concat(parts)),
    ),
    fc.nat(99),
  )
  .map(([type, data, lie]) => {
    const header = hex("'IHAVEOPT' 00000000 00000000");
    header.writeUInt32BE(type, 8);
    header.writeUInt32BE(lie === 0 ? data.length + 1 : data.length, 12);
    return Buffer.concat([header, data]);
  });

/** A request that is nearly right. */
const request = fc
  .record({
    flags: fc.oneof(fc.constant(0), fc.nat(0xffff)),
    type: fc.nat(9),
    offset: fc.oneof(fc.nat(1 << 16), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    length: fc.oneof(fc.nat(1 << 16), fc.nat(2 ** 32 - 1)),
    payload: bytes(64),
  })
  .map(({ flags, type, offset, length, payload }) => {
    const header = hex('25609513 0000 0000 1111111122222222 0000000000000000 00000000');
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(length, 24);
    return type === 1 ? Buffer.concat([header, payload]) : header;
  });

const handshake = hex("00000003 'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 00000007 00000006 00000000 0000");
const conversation = fc.oneof(
  bytes(200),
  fc.array(option, { maxLength: 8 }).map((options) => Buffer.concat([hex('00000003'), ...options])),
  fc.array(request, { maxLength: 30 }).map((requests) => Buffer.concat([handshake, ...requests])),
  fc.tuple(fc.array(request), bytes(50)).map(([requests, rest]) => Buffer.concat([handshake, ...requests, rest])),
);

test('no bytes disturb the server', { timeout: 60_000 }, async () => {
  const server = new NbdServer({ maxConnections: 0 });
  server.addExport({ name: '', writable: true, backend: new MemoryDisk(1 << 16) });
  await fc.assert(
    fc.asyncProperty(conversation, fc.nat(100), async (sent, cut) => {
      const socket = connectSocket(server);
      socket.on('error', () => {});
      socket.resume();
      socket.write(sent.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.end(sent.subarray(cut));
      await new Promise((resolve) => void socket.once('close', resolve));
    }),
    { numRuns: 400 },
  );
  await until('all are gone', () => server.connections === 0);
  const client = await connect(server);
  assert.equal((await client.read(0, 512)).length, 512);
  await client.disconnect();
  await server.stop();
});
