// Servers that break off, lie, or say nothing: every call settles with an error that says what happened.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { QmpClient, QmpError } from '../../src/client/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { greet, GREETING, idOf, RawServer, reply, type Serve } from './raw-server.ts';

checkOpenFds();

const folder = temporaryFolder();

async function withServer(serve: Serve, use: (path: string) => Promise<void>): Promise<void> {
  const server = await RawServer.start(folder, serve);
  try {
    await use(server.path);
  } finally {
    await server.close();
  }
}

function hasCode(code: string, text: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof FdsetError);
    assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
    return true;
  };
}

/** Timers that keep the process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

suite('a server that dies in the middle', () => {
  const event = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n';
  const first = '{"return": {"fd": 12, "fdset-id": 3}}\r\n';
  const second = '{"id": 2, "error": {"class": "GenericError", "desc": "no"}}\r\n';
  const script = `${GREETING}{"return": {}, "id": 1}\r\n${event}${first}${second}`;

  test('leaves no call, fd or timer behind, wherever it dies', { timeout: 120_000 }, async () => {
    let cut = 0;
    const server = await RawServer.start(folder, async (socket, nextRequest) => {
      const greeting = GREETING.length;
      socket.write(script.slice(0, Math.min(cut, greeting)));
      if (cut < greeting) return void socket.end();
      const negotiated = greeting + '{"return": {}, "id": 1}\r\n'.length;
      await nextRequest();
      socket.write(script.slice(greeting, Math.min(cut, negotiated)));
      if (cut < negotiated) return void socket.end();
      await nextRequest();
      await nextRequest();
      socket.end(script.slice(negotiated, cut));
    });
    const before = [openFds().size, timers()];
    try {
      for (cut = 0; cut <= script.length; cut++) {
        const outcome = await oneSession(server.path);
        assert.equal(outcome, expected(cut), `cut at ${cut}`);
      }
    } finally {
      await server.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(openFds().size <= before[0]! && timers() <= before[1]!, 'nothing is left');
  });

  /** The length of a message without what follows its last brace: complete without. */
  const whole = (...messages: string[]): number => messages.join('').trimEnd().length;

  function expected(cut: number): string {
    if (cut < whole(GREETING)) return 'connect: ERR_FDSET_QMP_CLOSED';
    if (cut < whole(GREETING, '{"return": {}, "id": 1}')) return 'connect: ERR_FDSET_QMP_CLOSED';
    const negotiated = `${GREETING}{"return": {}, "id": 1}\r\n`;
    const events = cut >= whole(negotiated, event) ? 'STOP' : 'none';
    const added = cut >= whole(negotiated, event, first) ? 'fd 12' : 'ERR_FDSET_QMP_CLOSED';
    const refused = cut >= whole(negotiated, event, first, second) ? 'ERR_FDSET_QMP_ERROR' : 'ERR_FDSET_QMP_CLOSED';
    return `${events}, ${added}, ${refused}, then ERR_FDSET_QMP_CLOSED`;
  }

  async function oneSession(path: string): Promise<string> {
    let client: QmpClient;
    try {
      client = await QmpClient.connect(path);
    } catch (error) {
      return `connect: ${(error as FdsetError).code}`;
    }
    let events = 'none';
    client.onEvent('*', ({ name }) => (events = name));
    const calls = [
      client.execute('add-fd', {}, { timeoutMs: 60_000 }),
      client.execute('x', {}, { signal: new AbortController().signal }),
    ];
    const settled = await Promise.allSettled(calls);
    const stream = client.events();
    const [added, refused] = settled.map((each) =>
      each.status === 'fulfilled' ? `fd ${(each.value as { fd: number }).fd}` : (each.reason as FdsetError).code,
    );
    const cause = await client.closed;
    await assert.rejects(stream.next(), { code: cause?.code });
    await client.close();
    return `${events}, ${added}, ${refused}, then ${cause?.code}`;
  }
});

suite('a server that lies', () => {
  test('answers twice, with the next call on its way or not: that call is not settled with it', async () => {
    for (const ids of ['short', 'always'] as const) {
      for (const doubled of [0, 1, 2, 3]) {
        for (const late of [false, true]) {
          const serve: Serve = async (socket, nextRequest) => {
            await greet(socket, nextRequest);
            for (let i = 0; ; i++) {
              const answer = reply(await nextRequest(), `${i}`);
              socket.write(answer);
              if (i !== doubled) continue;
              if (late) await nextRequest();
              socket.write(answer);
            }
          };
          await withServer(serve, async (path) => {
            const client = await QmpClient.connect(path, { ids });
            for (let i = 0; i <= doubled; i++) assert.equal(await client.execute('a'), i);
            await assert.rejects(
              client.execute('b'),
              hasCode('ERR_FDSET_QMP_CLOSED', /a reply with.* id.*one too many/),
            );
            assert.equal((await client.closed)?.code, 'ERR_FDSET_QMP_PROTOCOL');
            await client.close();
          });
        }
      }
    }
  });

  test('answers twice with many calls in flight: none is settled with the second', async () => {
    for (const doubled of [0, 1, 17, 30]) {
      const serve: Serve = async (socket, nextRequest) => {
        await greet(socket, nextRequest);
        const answers: string[] = [];
        for (let i = 0; i < 40; i++) answers.push(reply(await nextRequest(), `${i}`).repeat(i === doubled ? 2 : 1));
        socket.write(answers.join(''));
      };
      await withServer(serve, async (path) => {
        const client = await QmpClient.connect(path);
        const calls = await Promise.allSettled(Array.from({ length: 40 }, () => client.execute('a')));
        const settled = calls.map((call) => (call.status === 'fulfilled' ? call.value : 'rejected'));
        assert.deepEqual(
          settled,
          calls.map((_, i) => (i <= doubled ? i : 'rejected')),
        );
        await client.close();
      });
    }
  });

  test('answers out of turn: never to the wrong call; with ids it may', async () => {
    const serve: Serve = async (socket, nextRequest) => {
      await greet(socket, nextRequest);
      const requests = [await nextRequest(), await nextRequest()];
      for (const request of requests.toReversed())
        socket.write(reply(request, request.includes('"a"') ? '"a"' : '"b"'));
    };
    await withServer(serve, async (path) => {
      const strict = await QmpClient.connect(path, { ids: 'always' });
      assert.deepEqual(await Promise.all([strict.execute('a'), strict.execute('b')]), ['a', 'b']);
      await strict.close();
      const client = await QmpClient.connect(path);
      for (const call of await Promise.allSettled([client.execute('a'), client.execute('b')])) {
        assert.equal(call.status, 'rejected');
      }
      await client.close();
    });
  });

  test('answers with an id of its own: the connection ends, and says why', async () => {
    for (const id of ['1', '77', '"x"', 'null']) {
      const serve: Serve = async (socket, nextRequest) => {
        await greet(socket, nextRequest);
        socket.write(reply(await nextRequest(), '1'));
        await nextRequest();
        socket.write(`{"return": {}, "id": ${id}}\r\n`);
      };
      await withServer(serve, async (path) => {
        const client = await QmpClient.connect(path);
        const second = client.execute('a').then(() => client.execute('b'));
        await assert.rejects(second, hasCode('ERR_FDSET_QMP_CLOSED', /a reply with .*id/));
        assert.equal((await client.closed)?.code, 'ERR_FDSET_QMP_PROTOCOL');
        await client.close();
      });
    }
  });

  test('garbage in place of a reply', async () => {
    const pieces = ['\u0000\u0001', 'SSH-2.0\r\n', '[]', '17 ', '{"nothing": 1}', '{"error": 1, "id": 2}', '}'];
    for (const garbage of pieces) {
      const serve: Serve = async (socket, nextRequest) => {
        await greet(socket, nextRequest);
        await nextRequest();
        socket.write(garbage);
      };
      await withServer(serve, async (path) => {
        const client = await QmpClient.connect(path);
        await assert.rejects(client.execute('a'), hasCode('ERR_FDSET_QMP_CLOSED', /a: the server does not speak QMP/));
        await client.close();
      });
    }
  });

  test('a reply before the greeting', async () => {
    await withServer(
      (socket) => void socket.write('{"return": {}, "id": 1}\r\n'),
      async (path) => {
        const text = /a return instead of a greeting/;
        await assert.rejects(QmpClient.connect(path), hasCode('ERR_FDSET_QMP_PROTOCOL', text));
      },
    );
  });
});

suite('a server that says too much', () => {
  test('a greeting of 10 MiB is refused after the first', async () => {
    const serve: Serve = (socket) => void socket.write(`{"QMP": {"version": {"package": "${'x'.repeat(10 << 20)}`);
    await withServer(serve, async (path) => {
      const text = /no greeting within the first 1048576 bytes/;
      await assert.rejects(QmpClient.connect(path), hasCode('ERR_FDSET_QMP_PROTOCOL', text));
    });
  });

  test('a reply of 64 MiB is taken; one beyond the limit is refused', { timeout: 120_000 }, async () => {
    const size = 64 << 20;
    const serve: Serve = async (socket, nextRequest) => {
      await greet(socket, nextRequest);
      for (;;) socket.write(reply(await nextRequest(), `"${'x'.repeat(size)}"`));
    };
    await withServer(serve, async (path) => {
      const client = await QmpClient.connect(path);
      assert.equal(String(await client.execute('a')).length, size);
      await client.close();
      const strict = await QmpClient.connect(path, { limits: { maxTokenBytes: 1 << 20 } });
      await assert.rejects(strict.execute('a'), hasCode('ERR_FDSET_QMP_CLOSED', /token size limit exceeded/));
      await strict.close();
    });
  });
});

suite('a server that says nothing', () => {
  test('no greeting, or no answer to the negotiation: in time an error says so', async () => {
    await withServer(
      () => undefined,
      async (path) => {
        const late = QmpClient.connect(path, { timeoutMs: 30 });
        await assert.rejects(late, hasCode('ERR_FDSET_QMP_TIMEOUT', /^no greeting within 30 ms/));
      },
    );
    await withServer(
      (socket) => void socket.write(GREETING),
      async (path) => {
        const late = QmpClient.connect(path, { timeoutMs: 1000 });
        await assert.rejects(late, hasCode('ERR_FDSET_QMP_TIMEOUT', /^no answer to qmp_capabilities within 1000 ms/));
        const aborted = new AbortController();
        const connecting = QmpClient.connect(path, { signal: aborted.signal });
        aborted.abort(new Error('enough'));
        await assert.rejects(connecting, /^Error: enough$/);
      },
    );
  });

  test('no reply: the call is given up, by its time or its signal, and close does not wait for it', async () => {
    await withServer(greet, async (path) => {
      const client = await QmpClient.connect(path);
      await assert.rejects(
        client.execute('a', {}, { timeoutMs: 10 }),
        hasCode('ERR_FDSET_QMP_TIMEOUT', /^a: no reply/),
      );
      const controller = new AbortController();
      const call = client.execute('b', {}, { signal: controller.signal });
      controller.abort(new Error('enough'));
      await assert.rejects(call, /^Error: enough$/);
      await assert.rejects(client.execute('c', {}, { signal: controller.signal }), /^Error: enough$/);
      await client.close();
    });
  });
});

test('an error tells where the call was made', async () => {
  const serve: Serve = async (socket, nextRequest) => {
    await greet(socket, nextRequest);
    for (;;) {
      const id = idOf(await nextRequest());
      const error = '"error": {"class": "DeviceNotFound", "desc": "gone"}';
      socket.write(id === undefined ? `{${error}}\r\n` : `{"id": ${id}, ${error}}\r\n`);
    }
  };
  await withServer(serve, async (path) => {
    let client = await QmpClient.connect(path);
    async function theCallSite(): Promise<void> {
      await client.execute('device_del', { id: 'x' });
    }
    let error = await theCallSite().catch((thrown: unknown) => thrown);
    assert.ok(error instanceof QmpError);
    assert.deepEqual([error.class, error.desc, error.command], ['DeviceNotFound', 'gone', 'device_del']);
    assert.match(error.stack ?? '', /^QmpError: device_del: gone\n\s+at async theCallSite .*hostile-server\.test/);
    await client.close();

    client = await QmpClient.connect(path, { callSites: true });
    function notAwaited(): Promise<unknown> {
      return client.execute('device_del', { id: 'x' }).catch((thrown: unknown) => thrown);
    }
    error = await notAwaited();
    assert.ok(error instanceof QmpError);
    assert.match(error.stack ?? '', /^QmpError: device_del: gone\n\s+at notAwaited .*hostile-server\.test/);
    await client.close();
  });
});
