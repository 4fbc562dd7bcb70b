import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { QmpClient, QmpError } from '../../src/client/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { connectUnix, listenUnix } from '../../src/socket/index.ts';
import { ServedMonitors } from '../monitor/served-monitor.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 3}, "package": "p"}, "capabilities": ["oob", "x"]}}\r\n';

suite('a QMP client', () => {
  let served: ServedMonitors;
  let client: QmpClient;
  beforeEach(async () => {
    served = new ServedMonitors();
    client = await QmpClient.connect(served.path());
  });
  afterEach(async () => {
    await client.close();
    await served.close();
  });

  test('returns what a command returns', async () => {
    assert.deepEqual(await client.execute('query-jobs'), []);
    assert.equal(client.version.qemu.major, 10);
    assert.deepEqual(client.capabilities, ['oob']);
  });

  test('keeps integers exact', async () => {
    const value = [9007199254740993n, 18446744073709551615n, 5];
    assert.deepEqual(await client.execute('x-echo', { value }), value);
  });

  test('rejects with the error reply', async () => {
    await assert.rejects(client.execute('nope'), (error) => {
      assert.ok(error instanceof QmpError);
      assert.deepEqual([error.class, error.desc], ['CommandNotFound', 'The command nope has not been found']);
      return true;
    });
  });

  test('passes an fd with its command, which the caller may close at once', async () => {
    const fd = openSync('/dev/zero', 'r');
    const added = client.execute('add-fd', { 'fdset-id': 3 }, { fds: [fd] });
    closeSync(fd);
    await added;
    assert.equal(served.linkOf(3), '/dev/zero');
  });

  test('settles calls in flight by their ids', async () => {
    const calls = Array.from({ length: 50 }, (_, value) => client.execute('x-echo', { value }));
    assert.deepEqual(
      await Promise.all(calls),
      Array.from({ length: 50 }, (_, value) => value),
    );
  });

  test('gives up a call in time, and ignores its late reply', async () => {
    const slow = client.execute('x-block', { name: 'a' }, { timeoutMs: 30 });
    await assert.rejects(slow, hasCode('ERR_FDSET_QMP_TIMEOUT', /x-block: no reply within 30 ms/));
    served.unblock('a');
    assert.deepEqual(await client.execute('query-jobs'), []);
  });

  test('keeps the events until they are taken', async () => {
    const events = client.events();
    await client.execute('x-happen', { name: 'one' });
    await client.execute('x-happen', { name: 'two' });
    for (const name of ['one', 'two']) {
      const { value } = await events.next();
      assert.deepEqual([value?.name, value?.data], ['X_HAPPENED', { name }]);
    }
    assert.equal(events.buffered, 0);
  });

  test('rejects what is pending when it is closed, and everything after', async () => {
    const pending = client.execute('x-block', { name: 'a' });
    const closed = client.close({ timeoutMs: 10 });
    await assert.rejects(pending, hasCode('ERR_FDSET_QMP_CLOSED', /x-block: the QMP client was closed/));
    await closed;
    await client.close();
    await assert.rejects(client.execute('query-jobs'), hasCode('ERR_FDSET_QMP_CLOSED', /query-jobs/));
  });

  test('rejects what is pending when the server goes', async () => {
    const pending = client.execute('x-block', { name: 'a' });
    const rejected = assert.rejects(pending, hasCode('ERR_FDSET_QMP_CLOSED', /x-block/));
    await served.close();
    await rejected;
    served = new ServedMonitors();
  });

  test('says who holds the monitor when no greeting comes', async () => {
    await assert.rejects(
      QmpClient.connect(served.path(), { timeoutMs: 50 }),
      hasCode('ERR_FDSET_QMP_TIMEOUT', /no greeting within 50 ms/),
    );
  });
});

suite('a QMP client and other servers', () => {
  let dir: string;
  let path: string;
  let server: net.Server;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'fdset-client-'));
    path = join(dir, 'qmp');
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(dir, { recursive: true });
  });

  async function serve(...lines: string[]): Promise<void> {
    server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(lines.shift() ?? '');
      socket.on('data', () => socket.write(lines.shift() ?? ''));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  test('takes an adopted socket, and capabilities that it does not know', async () => {
    await serve(GREETING, '{"return": {}, "id": 1}\r\n');
    const fd: OwnedFd = await connectUnix(path);
    const client = await QmpClient.connect(fd);
    assert.deepEqual(client.capabilities, ['oob', 'x']);
    assert.deepEqual(client.version, { qemu: { major: 3, minor: 2, micro: 1 }, package: 'p' });
    await client.close();
  });

  test('refuses a server that does not speak QMP', async () => {
    await serve('SSH-2.0-OpenSSH_9\r\n');
    await assert.rejects(QmpClient.connect(path), hasCode('ERR_FDSET_QMP_PROTOCOL', /does not speak QMP/));
  });

  test('fails when the server refuses the negotiation', async () => {
    await serve(GREETING, '{"id": 1, "error": {"class": "GenericError", "desc": "no"}}\r\n');
    await assert.rejects(QmpClient.connect(path), hasCode('ERR_FDSET_QMP_ERROR', /qmp_capabilities: no/));
  });

  test('settles its calls where the server does not say which one it could not read', async () => {
    await serve(
      GREETING,
      '{"return": {}, "id": 1}\r\n',
      '{"error": {"class": "GenericError", "desc": "JSON parse error, nesting too deep"}}\r\n',
      '{"error": {"class": "GenericError", "desc": "JSON parse error, nesting too deep"}}\r\n',
    );
    const client = await QmpClient.connect(path);
    await assert.rejects(client.execute('x'), hasCode('ERR_FDSET_QMP_ERROR', /^x: JSON parse error/)); // sent without an id
    await assert.rejects(client.execute('x'), hasCode('ERR_FDSET_QMP_CLOSED', /misunderstood: JSON parse error/));
    await client.close();
  });

  test('waits no longer in front of a full backlog than for a greeting', async () => {
    const listener = listenUnix(`${path}-full`, { backlog: 0 });
    const waiting = await connectUnix(`${path}-full`);
    await assert.rejects(
      QmpClient.connect(`${path}-full`, { timeoutMs: 100 }),
      hasCode('ERR_FDSET_QMP_TIMEOUT', /no connection within 100 ms/),
    );
    waiting.close();
    listener.close();
  });

  test('speaks over TCP', async () => {
    server = net.createServer((socket) => {
      socket.write(GREETING);
      socket.on('data', () => socket.write('{"return": {}, "id": 1}\r\n'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const client = await QmpClient.connect({ host: '127.0.0.1', port });
    await client.close();
  });
});

function hasCode(code: string, text: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof FdsetError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}
