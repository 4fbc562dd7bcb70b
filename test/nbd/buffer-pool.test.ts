import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BufferPool } from '../../src/nbd/buffer-pool.ts';

test('a buffer is at least as long as asked for, and given back it is used again', () => {
  const pool = new BufferPool(1 << 24);
  for (const length of [0, 1, 4096, 4097, 65536, 65537, 1 << 20, (1 << 20) + 1, 32 << 20]) {
    const buffer = pool.take(length);
    assert.ok(buffer.length >= length, `${length}`);
    assert.ok(buffer.length <= Math.max(4096, length * 2), `${length}`);
    pool.give(buffer);
    const again = pool.take(length);
    assert.equal(again === buffer, length <= 1 << 20, `${length}`);
  }
});

test('no more than the limit is kept', () => {
  const pool = new BufferPool(10_000);
  const buffers = [pool.take(4096), pool.take(4096), pool.take(4096)];
  for (const buffer of buffers) pool.give(buffer);
  assert.equal(pool.kept, 8192);
});
