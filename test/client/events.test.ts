import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { QmpClient } from '../../src/client/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { greet, RawServer, reply, type Serve } from './raw-server.ts';

checkOpenFds();

const folder = temporaryFolder();
const event = (name: string, n: number): string =>
  `{"timestamp": {"seconds": 1, "microseconds": ${n}}, "event": "${name}", "data": {"n": ${n}}}\r\n`;

/** Answers each command with its argument `count` of events before the reply. */
const eventful: Serve = async (socket, nextRequest) => {
  await greet(socket, nextRequest);
  for (;;) {
    const request = await nextRequest();
    const { count = 0 } = (JSON.parse(request) as { arguments?: { count: number } }).arguments ?? {};
    socket.write(Array.from({ length: count }, (_, n) => event(n % 2 === 0 ? 'EVEN' : 'ODD', n)).join(''));
    socket.write(reply(request, '{}'));
  }
};

async function withClient(use: (client: QmpClient, server: RawServer) => Promise<void>): Promise<void> {
  const server = await RawServer.start(folder, eventful);
  const client = await QmpClient.connect(server.path);
  try {
    await use(client, server);
  } finally {
    await client.close();
    await server.close();
  }
}

suite('an event stream', () => {
  test('begins when it is made: what comes before the loop is not lost', () =>
    withClient(async (client) => {
      const events = client.events(['EVEN', 'ODD']);
      await client.execute('make', { count: 3 });
      const seen: unknown[] = [];
      for await (const { name, data, timestamp } of events) {
        seen.push([name, data['n'], timestamp.microseconds]);
        if (seen.length === 3) break;
      }
      assert.deepEqual(seen, [
        ['EVEN', 0, 0],
        ['ODD', 1, 1],
        ['EVEN', 2, 2],
      ]);
      assert.equal(events.ended, true, 'leaving the loop ends the subscription');
    }));

  test('takes the names and the condition asked for', () =>
    withClient(async (client) => {
      const odd = client.events('ODD');
      const large = client.events('*', { where: ({ data }) => Number(data['n']) > 3 });
      await client.execute('make', { count: 6 });
      assert.deepEqual(
        odd.takeBuffered().map(({ data }) => data['n']),
        [1, 3, 5],
      );
      assert.deepEqual(
        large.takeBuffered().map(({ name }) => name),
        ['EVEN', 'ODD'],
      );
    }));

  test('of a slow consumer keeps the newest 10,000 of 100,000, counts the others, and no command waits', () =>
    withClient(async (client) => {
      const events = client.events();
      await client.execute('make', { count: 100_000 });
      await client.execute('ask');
      assert.deepEqual([events.buffered, events.dropped], [10_000, 90_000]);
      const { value } = await events.next();
      assert.equal(value?.data['n'], 90_000);
    }));

  test('throws behind what it has kept, where that was asked for', () =>
    withClient(async (client) => {
      const events = client.events('*', { limit: 2, overflow: 'throw' });
      await client.execute('make', { count: 5 });
      const seen: unknown[] = [];
      await assert.rejects(
        async () => {
          for await (const { data } of events) seen.push(data['n']);
        },
        { code: 'ERR_FDSET_QMP_EVENTS_LOST' },
      );
      assert.deepEqual(seen, [0, 1]);
    }));

  test('ends with close(), and throws with the cause when the connection is lost', () =>
    withClient(async (client, server) => {
      const lost = client.events();
      const waiting = lost.next();
      server.drop();
      await assert.rejects(waiting, { code: 'ERR_FDSET_QMP_CLOSED' });
      assert.deepEqual(await lost.next(), { value: undefined, done: true });
      const other = await QmpClient.connect(server.path);
      const ending = other.events();
      const last = ending.next();
      await other.close();
      assert.deepEqual(await last, { value: undefined, done: true });
      assert.deepEqual(await other.events().next(), { value: undefined, done: true });
    }));

  test('is aborted by a signal', () =>
    withClient(async (client) => {
      const controller = new AbortController();
      const events = client.events('*', { signal: controller.signal });
      const waiting = events.next();
      controller.abort(new Error('enough'));
      await assert.rejects(waiting, /^Error: enough$/);
      await assert.rejects(client.events('*', { signal: controller.signal }).next(), /^Error: enough$/);
    }));
});

suite('a listener', () => {
  test('is called before the reply behind its event, until it is taken away', () =>
    withClient(async (client) => {
      const seen: string[] = [];
      const stop = client.onEvent('ODD', ({ data }) => seen.push(`event ${String(data['n'])}`));
      await client.execute('make', { count: 2 }).then(() => seen.push('reply'));
      stop();
      await client.execute('make', { count: 2 });
      assert.deepEqual(seen, ['event 1', 'reply']);
    }));

  test('hears of later events only, also where another listener has made it', () =>
    withClient(async (client) => {
      const seen: unknown[] = [];
      client.onEvent('ODD', ({ data }) => {
        if (data['n'] === 1) client.onEvent('ODD', (later) => seen.push(later.data['n']));
      });
      await client.execute('make', { count: 4 });
      assert.deepEqual(seen, [3]);
    }));

  test('of an event that nobody awaits any more, as where the command has failed, disturbs nobody', () =>
    withClient(async (client) => {
      const unhandled: unknown[] = [];
      const listener = (reason: unknown): void => void unhandled.push(reason);
      process.on('unhandledRejection', listener);
      void client.waitForEvent('ODD', { signal: AbortSignal.abort(new Error('enough')) });
      await new Promise((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', listener);
      assert.deepEqual(unhandled, []);
    }));

  test('waitForEvent gives up in time', () =>
    withClient(async (client) => {
      const found = client.waitForEvent('ODD', { where: ({ data }) => data['n'] === 3 });
      await client.execute('make', { count: 5 });
      assert.equal((await found).data['n'], 3);
      await assert.rejects(client.waitForEvent('ODD', { timeoutMs: 10 }), { code: 'ERR_FDSET_QMP_TIMEOUT' });
    }));
});
