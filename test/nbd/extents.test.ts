import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MAX_EXTENTS, descriptorBytes, readParts, writeDescriptors } from '../../src/nbd/extents.ts';
import { hex } from './hex.ts';

const data = (length: number) => ({ length, hole: false, zero: false });
const hole = (length: number) => ({ length, hole: true, zero: true });
const allocatedZero = (length: number) => ({ length, hole: false, zero: true });

function descriptors(extents: Parameters<typeof writeDescriptors>[1], length: number, one = false): Buffer {
  const target = Buffer.alloc(descriptorBytes(extents.length));
  return target.subarray(0, writeDescriptors(target, extents, length, one));
}

test('extents become descriptors of base:allocation', () => {
  const extents = [data(4096), hole(8192), allocatedZero(512)];
  assert.deepEqual(descriptors(extents, 12800), hex('00001000 00000000 00002000 00000003 00000200 00000002'));
});

test('neighbours of equal state are one extent, and empty ones vanish', () => {
  const extents = [data(512), data(512), hole(0), data(1024), hole(512), hole(512)];
  assert.deepEqual(descriptors(extents, 3072), hex('00000800 00000000 00000400 00000003'));
});

test('nothing reaches beyond what was asked for', () => {
  assert.deepEqual(descriptors([data(4096), hole(1 << 30)], 8192), hex('00001000 00000000 00001000 00000003'));
  assert.deepEqual(descriptors([data(8192), hole(512)], 8192), hex('00002000 00000000'));
});

test('with REQ_ONE there is one extent, the whole first one', () => {
  assert.deepEqual(descriptors([hole(512), hole(512), data(512)], 1536, true), hex('00000400 00000003'));
});

test('there is a limit to the descriptors of one answer', () => {
  const extents = Array.from({ length: MAX_EXTENTS + 10 }, (_, index) => (index % 2 ? hole(512) : data(512)));
  assert.equal(descriptors(extents, 0xffffffff).length, MAX_EXTENTS * 8);
});

test('a status that tells nothing is a fault of the disk', () => {
  assert.throws(() => descriptors([], 512), /without extents/);
  assert.throws(() => descriptors([hole(0)], 512), /without extents/);
});

test('a read is split into holes and pieces of data', () => {
  assert.deepEqual(readParts(1000, 1000, [data(250), hole(500), data(250)], 200), [
    { offset: 1000, length: 200, zero: false },
    { offset: 1200, length: 50, zero: false },
    { offset: 1250, length: 500, zero: true },
    { offset: 1750, length: 200, zero: false },
    { offset: 1950, length: 50, zero: false },
  ]);
});

test('what extents leave out is read, and what they have too much is left out', () => {
  assert.deepEqual(readParts(0, 100, [hole(40)], 200), [
    { offset: 0, length: 40, zero: true },
    { offset: 40, length: 60, zero: false },
  ]);
  assert.deepEqual(readParts(0, 100, [hole(4000)], 200), [{ offset: 0, length: 100, zero: true }]);
  assert.deepEqual(readParts(0, 100, [], 200), [{ offset: 0, length: 100, zero: false }]);
});

test('neighbours of equal kind are one part of a read', () => {
  assert.deepEqual(
    readParts(0, 100, [hole(10), allocatedZero(10), data(10), data(20), hole(0), data(10), hole(40)], 200),
    [
      { offset: 0, length: 20, zero: true },
      { offset: 20, length: 40, zero: false },
      { offset: 60, length: 40, zero: true },
    ],
  );
  assert.deepEqual(readParts(0, 100, [data(10)], 200), [{ offset: 0, length: 100, zero: false }]);
});
