// Any valid sequence of requests leaves the disk as a plain array would be left, and every read tells the truth.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { type NbdClient, NbdServer } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect } from './serve.ts';

checkOpenFds();

const BLOCK = 4096;
const REGION = 150 * BLOCK; // more than two chunks of a split read
const REGIONS = 4;

interface Operation {
  readonly kind: 'read' | 'write' | 'writeZeroes' | 'trim' | 'blockStatus' | 'flush' | 'cache';
  readonly start: number;
  readonly length: number;
  readonly fill: number;
  readonly flag: boolean;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom('read', 'write', 'writeZeroes', 'trim', 'blockStatus', 'flush', 'cache'),
  start: fc.oneof(
    fc.nat(REGION - 1),
    fc.nat(REGION / BLOCK - 1).map((block) => block * BLOCK),
  ),
  length: fc.oneof(
    fc.nat(5000),
    fc.nat(REGION),
    fc.nat(REGION / BLOCK).map((blocks) => blocks * BLOCK),
  ),
  fill: fc.integer({ min: 1, max: 255 }),
  flag: fc.boolean(),
});

/** Does one operation within a region, to the disk and to the model, and checks what can be checked. */
async function perform(client: NbdClient, model: Buffer, region: number, op: Operation): Promise<void> {
  const offset = region * REGION + op.start;
  const length = Math.min(op.length, REGION - op.start);
  const end = offset + length;
  switch (op.kind) {
    case 'read':
      assert.ok(
        (await client.read(offset, length, { oneChunk: op.flag && client.structuredReplies })).equals(
          model.subarray(offset, end),
        ),
      );
      return;
    case 'write':
      model.fill(op.fill, offset, end);
      return client.write(offset, model.subarray(offset, end), { fua: op.flag });
    case 'writeZeroes':
      model.fill(0, offset, end);
      return client.writeZeroes(offset, length, { fua: op.flag, mayUnmap: !op.flag });
    case 'trim': {
      await client.trim(offset, length, { fua: op.flag });
      // Every byte is what it was or zero; from here on it stays that.
      const now = await client.read(offset, length);
      for (let at = 0; at < length; at++) assert.ok(now[at] === 0 || now[at] === model[offset + at]);
      now.copy(model, offset);
      return;
    }
    case 'blockStatus': {
      if (length === 0 || !client.structuredReplies) return;
      let at = offset;
      for (const extent of await client.blockStatus(offset, length, { one: op.flag })) {
        if (extent.zero) assert.ok(model.subarray(at, at + extent.length).every((byte) => byte === 0));
        at += extent.length;
      }
      assert.ok(at <= end);
      return;
    }
    case 'flush':
      return client.flush();
    case 'cache':
      return client.cache(offset, length);
  }
}

const batches = fc.array(fc.array(operation, { minLength: REGIONS, maxLength: REGIONS }), { maxLength: 12 });
const configurations = fc.record({
  structuredReplies: fc.boolean(),
  limits: fc.constantFrom(
    { maxRequests: 64, maxBytes: 64 << 20 },
    { maxRequests: 1, maxBytes: 1 },
    { maxRequests: 3, maxBytes: 10_000 },
  ),
  delays: fc.boolean(),
});

test('random sequences of requests behave like an array', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(configurations, batches, async ({ structuredReplies, limits, delays }, batches) => {
      const server = new NbdServer({ limits });
      const disk = new MemoryDisk(REGION * REGIONS);
      if (delays)
        disk.before = ({ length }) => new Promise((resolve) => (length % 2 ? setImmediate(resolve) : resolve()));
      server.addExport({ name: '', writable: true, backend: disk });
      const clients = await Promise.all([
        connect(server, { structuredReplies }),
        connect(server, { structuredReplies }),
      ]);
      const model = Buffer.alloc(disk.length);
      try {
        for (const batch of batches) {
          await Promise.all(batch.map((op, region) => perform(clients[region % 2]!, model, region, op)));
        }
        await Promise.all(clients.map((client) => client.disconnect()));
        assert.ok(disk.bytes.equals(model));
      } finally {
        for (const client of clients) client.destroy();
        await server.stop();
      }
    }),
    { numRuns: 60 },
  );
});
