// Does a flush do what is needed, and no more?
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FlushTracker } from '../../src/block/flush-tracker.ts';

/** Syncs that end when the test says so. */
class Syncs {
  readonly ends: ((error?: Error) => void)[] = [];
  readonly sync = (): Promise<void> =>
    new Promise((resolve, reject) => {
      this.ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
}

const sticky = { sticky: true };

test('with nothing written nothing is done', async () => {
  const tracker = new FlushTracker();
  await tracker.flush(() => assert.fail('synced'), sticky);
  assert.equal(tracker.dirty, false);
});

test('after a write one sync is done, and then none', async () => {
  const tracker = new FlushTracker();
  let syncs = 0;
  const sync = async (): Promise<void> => void syncs++;
  tracker.wrote();
  assert.equal(tracker.dirty, true);
  await tracker.flush(sync, sticky);
  await tracker.flush(sync, sticky);
  assert.equal(syncs, 1);
  assert.equal(tracker.dirty, false);
});

test('flushes at the same time share a sync', async () => {
  const tracker = new FlushTracker();
  const syncs = new Syncs();
  tracker.wrote();
  const flushes = [1, 2, 3].map(() => tracker.flush(syncs.sync, sticky));
  assert.equal(syncs.ends.length, 1);
  syncs.ends[0]?.();
  await Promise.all(flushes);
  assert.equal(syncs.ends.length, 1);
});

test('a write during a sync is not covered by it: its flush does another', async () => {
  const tracker = new FlushTracker();
  const syncs = new Syncs();
  tracker.wrote();
  const first = tracker.flush(syncs.sync, sticky);
  tracker.wrote();
  const second = tracker.flush(syncs.sync, sticky);
  syncs.ends[0]?.();
  await first;
  assert.equal(tracker.dirty, true);
  await new Promise(setImmediate);
  assert.equal(syncs.ends.length, 2);
  syncs.ends[1]?.();
  await second;
  assert.equal(tracker.dirty, false);
});

test('a failed sync fails all who wait for it, and with sticky all who come later', async () => {
  const tracker = new FlushTracker();
  const syncs = new Syncs();
  tracker.wrote();
  const flushes = [1, 2].map(() => tracker.flush(syncs.sync, sticky));
  syncs.ends[0]?.(new Error('EIO'));
  for (const flush of flushes) await assert.rejects(flush, { message: 'EIO' });
  await assert.rejects(tracker.flush(syncs.sync, sticky), { message: 'EIO' });
  assert.equal(syncs.ends.length, 1);
});

test('without sticky the next flush tries again', async () => {
  const tracker = new FlushTracker();
  tracker.wrote();
  await assert.rejects(
    tracker.flush(() => Promise.reject(new Error('EIO')), { sticky: false }),
    { message: 'EIO' },
  );
  await tracker.flush(async () => undefined, { sticky: false });
  assert.equal(tracker.dirty, false);
});
