import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RingbufChardev } from '../../src/chardev/index.ts';

test('the newest bytes are kept, and read once, oldest first', () => {
  const ring = new RingbufChardev('r', 'ringbuf', 8);
  ring.write(Buffer.from('abcdef'));
  assert.equal(ring.read(4).toString(), 'abcd');
  ring.write(Buffer.from('ghijkl'));
  assert.equal(ring.read(3).toString(), 'efg');
  ring.write(Buffer.from('mnopq'));
  assert.equal(ring.read(100).toString(), 'jklmnopq');
  assert.equal(ring.read(100).toString(), '');
});

test('the largest one is read at once; a larger one is refused', () => {
  const size = 64 * 1024 * 1024;
  const ring = new RingbufChardev('r', 'ringbuf', size);
  ring.write(Buffer.alloc(size + 1, 'x'));
  assert.equal(ring.read(2 ** 62).length, size);
  for (const larger of [2 * size, 2 ** 40, 2 ** 62]) {
    assert.throws(() => new RingbufChardev('r', 'ringbuf', larger), {
      code: 'ERR_FDSET_CHARDEV',
      message: `size of ringbuf chardev must be at most ${size}`,
    });
  }
});
