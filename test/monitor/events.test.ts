import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkOpenFds } from '../open-fds.ts';
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
