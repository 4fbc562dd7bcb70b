// Names in the order in which QEMU 10.0 was seen to list them.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GlibOrder } from '../../src/qom/glib-order.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

test('a small table', () => {
  assert.deepEqual(new GlibOrder(['s', 't', 'g', 'as', 'al', 'ml', 'tc']).listed(), words('tc ml t al as g s'));
});

test('a table that has grown', () => {
  const kinds = ['total', 'read', 'write'].flatMap((kind) => ['', '-max', '-max-length'].map((end) => kind + end));
  const names = ['iops', 'bps'].flatMap((unit) => kinds.map((kind) => `x-${unit}-${kind}`));
  const listed = `
    x-bps-write-max-length x-iops-total-max-length x-iops-size limits x-bps-total
    x-iops-read-max-length x-bps-write x-iops-write-max-length x-bps-read-max x-iops-read-max
    x-bps-total-max x-bps-read-max-length x-iops-read x-bps-read x-bps-write-max x-iops-total-max
    x-iops-total x-iops-write x-bps-total-max-length x-iops-write-max`;
  assert.deepEqual(new GlibOrder(['limits', ...names, 'x-iops-size']).listed(), words(listed));
});

test('what was taken out is not listed, and its place is used again', () => {
  const order = new GlibOrder(['x', 'io0', 'tg0', 'tg1', 'gone']);
  order.delete('gone');
  order.add('tg3');
  order.delete('nobody');
  assert.deepEqual(order.listed(), ['x', 'io0', 'tg1', 'tg3', 'tg0']);
  for (let i = 0; i < 1000; i++) order.add(`n${i}`);
  for (let i = 0; i < 1000; i++) order.delete(`n${i}`);
  assert.deepEqual(new Set(order.listed()), new Set(['x', 'io0', 'tg1', 'tg3', 'tg0']));
});
