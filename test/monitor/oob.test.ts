import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkOpenFds } from '../open-fds.ts';
import { CAPABILITIES_OOB, request, ServedMonitors } from './served-monitor.ts';

checkOpenFds();

const SILENCE = 60;
const NO_OOB = (id: number, name: string): string =>
  `{"id": ${id}, "error": {"class": "GenericError", "desc": "The command ${name} does not support OOB"}}\r\n`;

suite('with OOB enabled', () => {
  let served: ServedMonitors;
  beforeEach(() => {
    served = new ServedMonitors();
  });
  afterEach(() => served.close());

  test('an out-of-band request overtakes what runs and what waits', async () => {
    const client = await served.connect(0, CAPABILITIES_OOB);
    client.send(request('x-block', { name: 'a' }, 'slow') + request('query-jobs', {}, 1));
    client.send('{"exec-oob": "x-urgent", "id": 2}{"exec-oob": "query-jobs", "id": 3}{"exec-oob": "nope", "id": 4}');
    assert.equal(
      await client.read(3),
      `{"return": {}, "id": 2}\r\n${NO_OOB(3, 'query-jobs')}` +
        '{"id": 4, "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}\r\n',
    );
    served.unblock('a');
    assert.equal(await client.read(2), '{"return": {}, "id": "slow"}\r\n{"return": [], "id": 1}\r\n');
  });

  test('a JSON error and a request with both members keep their place', async () => {
    const client = await served.connect(0, CAPABILITIES_OOB);
    client.send(request('x-block', { name: 'a' }, 'slow') + '{]{"execute": "x-urgent", "exec-oob": "x-urgent"}');
    await sleep(SILENCE);
    assert.deepEqual(client.take(), []);
    served.unblock('a');
    assert.equal(
      await client.read(3),
      '{"return": {}, "id": "slow"}\r\n' +
        '{"error": {"class": "GenericError", "desc": "JSON parse error, expecting value"}}\r\n' +
        '{"error": {"class": "GenericError", "desc": "QMP input member \'execute\' clashes with \'exec-oob\'"}}\r\n',
    );
  });

  test('nothing overtakes from behind eight requests that wait', async () => {
    const client = await served.connect(0, CAPABILITIES_OOB);
    const waiting = (from: number, to: number): string => {
      let text = '';
      for (let id = from; id <= to; id++) text += request('query-jobs', {}, id);
      return text;
    };
    client.send(request('x-block', { name: 'a' }, 'slow') + waiting(1, 7));
    client.send('{"exec-oob": "x-urgent", "id": "read"}');
    assert.equal(await client.read(1), '{"return": {}, "id": "read"}\r\n');
    client.send(waiting(8, 8) + '{"exec-oob": "x-urgent", "id": "unread"}');
    await sleep(SILENCE);
    assert.deepEqual(client.take(), []);
    served.unblock('a');
    const replies = await client.read(10);
    assert.ok(replies.startsWith('{"return": {}, "id": "slow"}\r\n{"return": [], "id": 1}\r\n'), replies);
    assert.ok(replies.indexOf('"unread"') < replies.indexOf('"id": 8'), replies);
  });

  test('each queued add-fd gets the fd that came with it', async () => {
    const client = await served.connect(0, CAPABILITIES_OOB);
    const [reading, writing] = [openSync('/dev/null', 'r'), openSync('/dev/zero', 'w')];
    client.send(request('x-block', { name: 'a' }, 'slow'));
    client.send(request('add-fd', { 'fdset-id': 1 }), [reading]);
    client.send(request('add-fd', { 'fdset-id': 2 }), [writing]);
    closeSync(reading);
    closeSync(writing);
    await sleep(SILENCE);
    served.unblock('a');
    const replies = await client.read(3);
    assert.match(
      replies,
      /"slow"\}\r\n\{"return": \{"fd": \d+, "fdset-id": 1\}\}\r\n\{"return": \{"fd": \d+, "fdset-id": 2\}\}/,
    );
    assert.equal(served.linkOf(1), '/dev/null');
    assert.equal(served.linkOf(2), '/dev/zero');
  });
});
