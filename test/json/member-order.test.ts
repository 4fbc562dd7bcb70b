import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bucketOf, inQemuOrder } from '../../src/json/member-order.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('the order is that of the bucket numbers', () => {
  assert.deepEqual(inQemuOrder(['id', 'return']), ['return', 'id']);
  assert.deepEqual(inQemuOrder(['error', 'id']), ['id', 'error']);
  assert.deepEqual(inQemuOrder(['desc', 'class']), ['class', 'desc']);
  assert.deepEqual(inQemuOrder(['id', 'arguments', 'execute', 'exec-oob']), ['exec-oob', 'execute', 'arguments', 'id']);
});

test('a bucket comes from the length and the bytes of the name, in modified UTF-8', () => {
  /** The formula, written down once more with exact integers. */
  const bucket = (bytes: Uint8Array): number => {
    let v = 0x238f13afn * BigInt(bytes.length);
    bytes.forEach((byte, i) => (v += BigInt(byte) << BigInt((5 * i) % 24)));
    return Number(((1103515243n * (v % (1n << 32n)) + 12345n) % (1n << 32n)) % 512n);
  };
  for (const name of ['', 'a', 'fdset-id', 'node-name', 'x'.repeat(1000), 'é€😀', '\x7f\x80']) {
    assert.equal(bucketOf(name), bucket(Buffer.from(name)), name);
  }
  assert.equal(bucketOf('a\0b'), bucket(Buffer.from('61c08062', 'hex')));
});
