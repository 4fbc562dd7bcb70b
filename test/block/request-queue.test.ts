// Are at most so many requests in flight, in order, and can an owner take its own back?
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestQueue } from '../../src/block/request-queue.ts';

/** A queue whose requests end when the test says so. */
class Requests {
  readonly queue: RequestQueue;
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (error?: Error) => void>();

  constructor(limit: number) {
    this.queue = new RequestQueue(limit);
  }

  run(name: string, owner?: { abandoned: boolean }): Promise<string> {
    return this.queue.run(() => {
      this.begun.push(name);
      return new Promise((resolve, reject) => {
        this.#ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
      });
    }, owner);
  }

  end(name: string, error?: Error): void {
    this.#ends.get(name)?.(error);
  }
}

test('the rest wait, and follow in order as others end', async () => {
  const requests = new Requests(2);
  const results = ['a', 'b', 'c', 'd'].map((name) => requests.run(name));
  assert.deepEqual(requests.begun, ['a', 'b']);
  assert.equal(requests.queue.inFlight, 2);
  assert.equal(requests.queue.waiting, 2);
  requests.end('b');
  assert.equal(await results[1], 'b');
  assert.deepEqual(requests.begun, ['a', 'b', 'c']);
  for (const name of ['a', 'c']) requests.end(name);
  await results[2];
  requests.end('d');
  assert.deepEqual(await Promise.all(results), ['a', 'b', 'c', 'd']);
  assert.equal(requests.queue.inFlight, 0);
});

test('a request that fails, or throws at once, makes room like any other', async () => {
  const requests = new Requests(1);
  const failing = requests.run('a');
  const thrown = requests.queue.run(() => {
    throw new Error('at once');
  });
  const last = requests.run('b');
  requests.end('a', new Error('late'));
  await assert.rejects(failing, { message: 'late' });
  await assert.rejects(thrown, { message: 'at once' });
  requests.end('b');
  assert.equal(await last, 'b');
});

test('an owner takes back what has not begun, and nothing of others', async () => {
  const requests = new Requests(1);
  const [mine, other] = [{ abandoned: false }, { abandoned: false }];
  const first = requests.run('a', mine);
  const second = requests.run('b', mine);
  const third = requests.run('c', other);
  mine.abandoned = true;
  requests.queue.abandon(mine);
  await assert.rejects(second, { errnoName: 'ECANCELED' });
  await assert.rejects(requests.run('d', mine), { errnoName: 'ECANCELED' });
  requests.end('a');
  assert.equal(await first, 'a');
  requests.end('c');
  assert.equal(await third, 'c');
  assert.deepEqual(requests.begun, ['a', 'c']);
});

test('everything that waits can be taken back', async () => {
  const requests = new Requests(1);
  const first = requests.run('a', { abandoned: false });
  const second = requests.run('b');
  requests.queue.abandon();
  await assert.rejects(second, { errnoName: 'ECANCELED' });
  requests.end('a');
  await first;
  assert.equal(requests.queue.waiting, 0);
});
