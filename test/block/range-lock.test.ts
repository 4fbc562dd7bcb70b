// Do writes wait for each other only where one of them must be alone?
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RangeLock } from '../../src/block/range-lock.ts';

function hold(lock: RangeLock, log: string[], name: string, start: number, end: number, alone: boolean): () => void {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  void lock.hold(start, end, alone, async () => {
    log.push(name);
    await held;
  });
  return release;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('writes that need not be alone overlap', () => {
  const [lock, log]: [RangeLock, string[]] = [new RangeLock(), []];
  hold(lock, log, 'a', 0, 10, false);
  hold(lock, log, 'b', 5, 15, false);
  assert.deepEqual(log, ['a', 'b']);
});

test('one that must be alone waits for those it overlaps, and keeps later ones off', async () => {
  const [lock, log]: [RangeLock, string[]] = [new RangeLock(), []];
  const endA = hold(lock, log, 'a', 0, 10, false);
  const endB = hold(lock, log, 'b', 8, 20, true);
  hold(lock, log, 'far', 20, 30, true);
  assert.deepEqual(log, ['a', 'far']);
  endA();
  await settle();
  assert.deepEqual(log, ['a', 'far', 'b']);
  hold(lock, log, 'c', 19, 20, false);
  await settle();
  assert.deepEqual(log, ['a', 'far', 'b']);
  endB();
  await settle();
  assert.deepEqual(log, ['a', 'far', 'b', 'c']);
});

test('a write that fails lets go', async () => {
  const lock = new RangeLock();
  await assert.rejects(lock.hold(0, 10, true, () => Promise.reject(new Error('EIO'))));
  assert.equal(await lock.hold(0, 10, true, async () => 'done'), 'done');
});
