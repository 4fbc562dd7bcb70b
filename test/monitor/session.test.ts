import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKAGE_VERSION } from '../../src/package-version.ts';
import { command, str } from '../../src/qapi/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { CAPABILITIES, CAPABILITIES_OOB, EMPTY_RETURN, request, ServedMonitors } from './served-monitor.ts';

checkOpenFds();

/** Long enough for what must not come. */
const SILENCE = 60;

suite('a session', () => {
  let served: ServedMonitors;
  beforeEach(() => {
    served = new ServedMonitors();
  });
  afterEach(() => served.close());

  test('is closed once, however often its monitor is', async () => {
    const client = await served.connect();
    client.send(request('x-block', { name: 'a' }));
    await sleep(SILENCE);
    const [monitor] = served.monitors;
    const both = Promise.all([monitor!.close(), monitor!.close()]);
    served.unblock('a');
    await both;
    await client.readEnd();
  });

  test('greets with the version of QEMU and of the package', async () => {
    const client = await QmpConnection.open(served.path());
    assert.equal(
      await client.read(1),
      `{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "fdset ${PACKAGE_VERSION}"}, ` +
        '"capabilities": ["oob"]}}\r\n',
    );
    client.close();
  });

  test('knows no command but qmp_capabilities before the negotiation', async () => {
    const client = await served.connect(0, '{"execute": "query-version", "id": 1}');
    client.send('{"execute": "nope"}');
    assert.equal(
      await client.read(1),
      '{"error": {"class": "CommandNotFound", "desc": "Expecting capabilities negotiation with ' +
        "'qmp_capabilities'\"}}\r\n",
    );
  });

  test('negotiates once', async () => {
    const client = await served.connect();
    client.send(CAPABILITIES);
    assert.equal(
      await client.read(1),
      '{"error": {"class": "CommandNotFound", "desc": "Capabilities negotiation is already complete, command ignored"}}' +
        '\r\n',
    );
  });

  test('answers every message of one write, in order', async () => {
    const client = await served.connect();
    client.send('{"execute": "query-jobs", "id": 1} @ {"execute": "nope", "id": 2}{"execute": "query-jobs"}');
    assert.equal(
      await client.read(4),
      '{"return": [], "id": 1}\r\n' +
        '{"error": {"class": "GenericError", "desc": "JSON parse error, stray \'@\'"}}\r\n' +
        '{"id": 2, "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}\r\n' +
        '{"return": []}\r\n',
    );
  });

  test('answers a message that comes byte by byte', async () => {
    const client = await served.connect();
    for (const byte of '{"execute": "query-jobs"}') {
      client.send(byte);
      await new Promise(setImmediate);
    }
    assert.equal(await client.read(1), '{"return": []}\r\n');
  });

  test('holds what was sent behind a slow command, and then answers in order', async () => {
    const client = await served.connect();
    client.send(request('x-block', { name: 'a' }, 'slow') + request('query-jobs', {}, 1));
    client.send('{"execute": "query-jobs", "id": 2}');
    await sleep(SILENCE);
    assert.deepEqual(client.take(), []);
    served.unblock('a');
    assert.equal(
      await client.read(3),
      '{"return": {}, "id": "slow"}\r\n{"return": [], "id": 1}\r\n{"return": [], "id": 2}\r\n',
    );
  });

  test('reads nothing while its command runs, not even half a message', async () => {
    const client = await served.connect();
    client.send(request('x-block', { name: 'a' }));
    while (!served.isBlocked('a')) await sleep(1);
    client.send(`{"execute": "x-echo", "arguments": {"value": "${'x'.repeat(2_000_000)}`);
    await sleep(SILENCE);
    assert.ok(client.unsentBytes > 1_000_000, `${client.unsentBytes} bytes of 2 MB are not taken`);
    served.unblock('a');
    assert.equal(await client.read(1), EMPTY_RETURN);
    client.send('"}}');
    assert.equal((await client.read(1)).length, 2_000_000 + '{"return": ""}\r\n'.length);
  });

  test('reports an exception that is no error reply as a bug, and goes on', async () => {
    const client = await served.connect();
    const reported: unknown[] = [];
    const note = (message: unknown): void => void reported.push(message);
    subscribe('fdset:monitor:internal-error', note);
    client.send(request('x-throw', { text: 'oops' }, 7) + request('query-jobs'));
    assert.equal(
      await client.read(2),
      '{"id": 7, "error": {"class": "GenericError", "desc": "The command x-throw has failed because of a bug: ' +
        'TypeError: oops"}}\r\n{"return": []}\r\n',
    );
    unsubscribe('fdset:monitor:internal-error', note);
    assert.deepEqual(
      reported.map((message) => (message as { command: string }).command),
      ['x-throw'],
    );
  });

  test('answers what came before a half-close, then closes', async () => {
    const client = await served.connect();
    client.send(request('x-block', { name: 'a' }) + request('query-jobs'));
    client.shutdown();
    while (!served.isBlocked('a')) await sleep(1);
    served.unblock('a');
    assert.equal(await client.read(2), `${EMPTY_RETURN}{"return": []}\r\n`);
    await client.readEnd();
  });

  test('is free for the next client when one goes while its command runs', async () => {
    const client = await served.connect();
    client.send(request('x-block', { name: 'a' }) + '{"execute": "que');
    while (!served.isBlocked('a')) await sleep(1);
    client.close();
    await sleep(SILENCE);
    served.unblock('a');
    const next = await served.connect();
    next.send(request('query-jobs'));
    assert.equal(await next.read(1), '{"return": []}\r\n');
  });

  test('starts afresh with each client: mode, capabilities, half a message', async () => {
    const first = await served.connect(0, CAPABILITIES_OOB);
    first.send('{"execute": "query-jobs"');
    await sleep(SILENCE);
    first.close();
    const second = await served.connect(0, '}');
    second.send('{"exec-oob": "query-jobs"}');
    assert.equal(
      await second.read(1),
      '{"error": {"class": "GenericError", "desc": "QMP input member \'exec-oob\' is unexpected"}}\r\n',
    );
  });

  test('answers quit, runs nothing after it and tells the program', async () => {
    const client = await served.connect();
    client.send('{"execute": "quit", "id": "bye"}{"execute": "query-jobs"}');
    assert.equal(await client.read(1), '{"return": {}, "id": "bye"}\r\n');
    await sleep(SILENCE);
    assert.deepEqual(client.take(), []);
    assert.equal(served.quits, 1);
  });

  test('echoes integers of 64 bits exactly', async () => {
    const client = await served.connect();
    client.send('{"execute": "x-echo", "arguments": {"value": [9223372036854775807, 18446744073709551615, 1.0]}}');
    assert.equal(await client.read(1), '{"return": [9223372036854775807, 18446744073709551615, 1]}\r\n');
  });
});

suite('a session whose client does not read', () => {
  test('is not read beyond the limit, and goes on when the client reads', async () => {
    const served = new ServedMonitors(1, { maxUnreadReplies: 1 << 20 });
    try {
      const client = await served.connect();
      const value = 'x'.repeat(10_000);
      client.pause();
      for (let id = 0; id < 1000; id++) client.send(request('x-echo', { value }, id));
      await sleep(300);
      assert.ok(client.unsentBytes > 5_000_000, `${client.unsentBytes} bytes of 10 MB are not taken`);
      client.resume();
      const ids = [...(await client.read(1000)).matchAll(/"id": (\d+)/g)].map(([, id]) => Number(id));
      assert.deepEqual(
        ids,
        Array.from({ length: 1000 }, (_, id) => id),
      );
    } finally {
      await served.close();
    }
  });

  test('runs no more of the requests of one read than it may leave replies unread', async () => {
    const served = new ServedMonitors(1, { maxUnreadReplies: 1 << 20 });
    try {
      const client = await served.connect();
      let runs = 0;
      served.registry.register(command('x-large', { returns: str }), () => `${++runs}`.padEnd(100_000, '.'));
      client.pause();
      client.send(request('x-large').repeat(200));
      await sleep(SILENCE);
      assert.ok(runs > 0 && runs < 50, `${runs} replies of 100 kB are made`);
      client.resume();
      await client.read(200);
      assert.equal(runs, 200);
    } finally {
      await served.close();
    }
  });

  test('loses its connection rather than events', async () => {
    const served = new ServedMonitors(2, { maxUnreadReplies: 1 << 16 });
    try {
      const [deaf, other] = [await served.connect(0), await served.connect(1)];
      deaf.pause();
      const name = 'x'.repeat(10_000);
      for (let count = 0; count < 100; count++) {
        other.send(request('x-happen', { name }));
        await other.read(2);
      }
      deaf.resume();
      await deaf.readEnd();
      assert.ok(deaf.take().length < 100);
    } finally {
      await served.close();
    }
  });
});
