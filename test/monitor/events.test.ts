import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { event, int, str } from '../../src/qapi/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import type { QmpConnection } from '../qmp-connection.ts';
import { CAPABILITIES, EMPTY_RETURN, request, ServedMonitors } from './served-monitor.ts';

checkOpenFds();

const HAPPENED =
  /^\{"timestamp": \{"seconds": \d+, "microseconds": \d+\}, "event": "X_HAPPENED", "data": \{"name": "e"\}\}\r\n/;

test('an event goes to every session in command mode, and is not kept for later', async () => {
  const served = new ServedMonitors(2);
  try {
    const [one, other] = [await served.connect(0), await served.connect(1, '{}')];
    one.send(request('x-happen', { name: 'e' }));
    const text = await one.read(2);
    assert.match(text, HAPPENED);
    assert.ok(text.endsWith(EMPTY_RETURN), 'the event of a command comes before its reply');
    other.send(CAPABILITIES);
    assert.equal(await other.read(1), EMPTY_RETURN);
    await sleep(50);
    assert.deepEqual(other.take(), []);
    one.send(request('x-happen', { name: 'e' }));
    await one.read(2);
    assert.match(await other.read(1), HAPPENED);
  } finally {
    await served.close();
  }
});

test('a pretty monitor gets its events over several lines', async () => {
  const served = new ServedMonitors(1, { pretty: true });
  try {
    const client = await served.connect();
    client.send(request('x-happen', { name: 'e' }));
    const text = await client.read(2);
    assert.match(text, /^\{\r\n {4}"timestamp": \{\r\n {8}"seconds": \d+,\r\n {8}"microseconds": \d+\r\n {4}\},\r\n/);
    assert.ok(text.endsWith('    "return": {\r\n    }\r\n}\r\n'));
  } finally {
    await served.close();
  }
});

suite('an event that may not come so often', () => {
  const limited = event('X_LIMITED', { data: { id: str, n: int } });
  const INTERVAL = 300;
  let served: ServedMonitors;
  let client: QmpConnection;
  beforeEach(async () => {
    served = new ServedMonitors(2);
    served.registry.declareEvent(limited, { intervalMs: INTERVAL, apart: ['id'] });
    client = await served.connect(0);
  });
  afterEach(() => served.close());

  const happen = (id: string, n: number): void => served.shared.events.broadcast(limited, { id, n });
  const numbers = (text: string): number[] => [...text.matchAll(/"n": (\d+)/g)].map(([, n]) => Number(n));
  const times = (text: string): number[] =>
    [...text.matchAll(/"seconds": (\d+), "microseconds": (\d+)/g)].map(([, s, us]) => Number(s) * 1e6 + Number(us));

  test('is sent at once, then the newest when the interval is over, with its own time', async () => {
    for (const n of [1, 2, 3, 4]) happen('a', n);
    const first = await client.read(1);
    assert.deepEqual(numbers(first), [1]);
    const second = await client.read(1);
    assert.deepEqual(numbers(second), [4]);
    const [happened, later] = [times(first)[0]!, times(second)[0]!];
    assert.ok(later - happened < 1000 * INTERVAL, 'the time is that of the event, not of its sending');
    happen('a', 5);
    assert.deepEqual(numbers(await client.read(1)), [5]);
  });

  test('is limited apart from those of another stream', async () => {
    happen('a', 1);
    happen('b', 2);
    happen('a', 3);
    happen('b', 4);
    assert.deepEqual(numbers(await client.read(2)), [1, 2]);
    assert.deepEqual(numbers(await client.read(2)), [3, 4]);
  });

  test('goes to whoever listens when it is sent', async () => {
    happen('a', 1);
    happen('a', 2);
    const other = await served.connect(1);
    assert.deepEqual(numbers(await other.read(1)), [2]);
    assert.deepEqual(numbers(await client.read(2)), [1, 2]);
  });
});
