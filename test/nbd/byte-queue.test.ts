import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ByteQueue } from '../../src/nbd/byte-queue.ts';

test('bytes come out in the order in which they went in, however they are cut', () => {
  const queue = new ByteQueue();
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 2000; round++) {
    const size = (round * 7) % 61;
    queue.append(Uint8Array.from({ length: size }, () => next++ & 0xff));
    const taken = Math.min((round * 11) % 67, queue.length);
    for (const byte of queue.peek(taken)) assert.equal(byte, expected++ & 0xff);
    assert.equal(queue.skip(taken), taken);
  }
  assert.equal(queue.length, next - expected);
});

test('skipping beyond the end drops what there is', () => {
  const queue = new ByteQueue();
  queue.append(Buffer.from('abc'));
  assert.equal(queue.skip(5), 3);
  assert.equal(queue.length, 0);
});

test('a message that comes byte by byte costs no copy of all its bytes per byte', () => {
  const queue = new ByteQueue();
  const byte = Buffer.from('x');
  for (let count = 0; count < 1 << 20; count++) queue.append(byte);
  assert.equal(queue.length, 1 << 20);
});
