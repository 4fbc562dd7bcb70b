// Connections of all kinds, and what becomes of a client when its connection goes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { suite, test } from 'node:test';
import tls from 'node:tls';
import { QmpClient, type QmpClientState } from '../../src/client/index.ts';
import type { JsonValue } from '../../src/json/index.ts';
import { connectUnix } from '../../src/socket/index.ts';
import { ServedMonitors } from '../monitor/served-monitor.ts';
import { checkOpenFds } from '../open-fds.ts';
import { missing } from '../programs.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { greet, GREETING, RawServer, reply, type Serve } from './raw-server.ts';

checkOpenFds();

const folder = temporaryFolder();
const noQemu = missing('qemu-storage-daemon', '--version');

const answering: Serve = async (socket, nextRequest) => {
  await greet(socket, nextRequest);
  for (;;) socket.write(reply(await nextRequest(), '{"answered": true}'));
};

suite('a target', () => {
  test('a child’s standard input and output', { skip: noQemu }, async () => {
    const child = spawn('qemu-storage-daemon', ['--chardev', 'stdio,id=c', '--monitor', 'c'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const client = await QmpClient.connect(child);
    assert.deepEqual(await client.execute('query-jobs'), []);
    const text = /add-fd: files cannot be passed because a pair of streams carries no file descriptors/;
    await assert.rejects(client.addFd({ path: '/dev/null', mode: 'r' }), text);
    await client.execute('quit');
    await client.close();
    await exit;
  });

  test('a child that has ended already', async () => {
    const child = spawn('true', { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.resume();
    await once(child, 'close');
    await assert.rejects(QmpClient.connect(child), { code: 'ERR_FDSET_QMP_CLOSED' });
  });

  test('that the signal has given up before: nothing is connected, and what was given is closed', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const server = await RawServer.start(folder, answering);
    await assert.rejects(QmpClient.connect(server.path, { signal }), /^Error: enough$/);
    assert.equal(server.connections, 0);
    const inherited = await connectUnix(server.path);
    await assert.rejects(QmpClient.connect(inherited, { signal }), /^Error: enough$/);
    await server.close();
    const silent = net.createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as net.AddressInfo;
    silent.once('connection', () => assert.fail('connected'));
    await assert.rejects(QmpClient.connect({ host: '127.0.0.1', port, tls: {} }, { signal }), /^Error: enough$/);
    silent.close();
    await once(silent, 'close');
  });

  test('without any limit of time', async () => {
    const server = await RawServer.start(folder, answering);
    const client = await QmpClient.connect(server.path, { timeoutMs: Infinity });
    assert.deepEqual(await client.execute('x', {}, { timeoutMs: Infinity }), { answered: true });
    await client.close({ timeoutMs: Infinity });
    await server.close();
  });

  test('a pair of streams', async () => {
    const [readable, writable] = [new PassThrough(), new PassThrough()];
    writable.on('data', (request: Buffer) => {
      readable.write(reply(String(request), '[1, 9007199254740993, 1.5]'));
    });
    readable.write(GREETING);
    const client = await QmpClient.connect({ readable, writable }, { bigint: true });
    assert.deepEqual(await client.execute('x'), [1n, 9007199254740993n, 1.5]);
    await client.close();
    assert.ok(readable.destroyed && writable.destroyed);
  });

  test('TCP carries no fds, and says so', async () => {
    const server = net.createServer((socket) => {
      socket.write(GREETING);
      socket.on('data', (request) => socket.write(reply(String(request), '{}')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = await QmpClient.connect({ host: 'localhost', port: (server.address() as net.AddressInfo).port });
    const rejected = client.execute('add-fd', {}, { fds: [0] });
    await assert.rejects(rejected, {
      code: 'ERR_FDSET_QMP_NO_FDS',
      message: /because TCP carries no file descriptors/,
    });
    await client.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test('TLS, with its certificate checked', { skip: missing('openssl', 'version') }, async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    spawnSync('openssl', [...made, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' });
    const server = tls.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
      socket.on('error', () => undefined);
      socket.write(GREETING);
      socket.on('data', (request) => socket.write(reply(String(request), '{}')));
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const client = await QmpClient.connect({ host: '127.0.0.1', port, tls: { ca: readFileSync(cert) } });
    assert.deepEqual(await client.execute('x'), {});
    await assert.rejects(client.getFd(0, 'name', { share: true }), { code: 'ERR_FDSET_QMP_NO_FDS' });
    await client.close();
    await assert.rejects(QmpClient.connect({ host: '127.0.0.1', port, tls: {} }), /self-signed certificate/);
    await new Promise((resolve) => server.close(resolve));
  });

  test('a server that connects out', async () => {
    const path = join(folder, 'listening');
    const listener = QmpClient.listen(path);
    const accepted = listener.accept();
    const server = net.connect(path);
    server.on('error', () => undefined);
    server.write(GREETING);
    server.on('data', (request) => server.write(reply(String(request), '{}')));
    const client = await accepted;
    assert.deepEqual(await client.execute('x'), {});
    const controller = new AbortController();
    const silent = net.connect(path);
    silent.on('error', () => undefined);
    const ungreeted = listener.accept({ signal: controller.signal });
    const never = listener.accept({ signal: controller.signal });
    setImmediate(() => controller.abort(new Error('enough')));
    await assert.rejects(never, /^Error: enough$/);
    await assert.rejects(ungreeted, /^Error: enough$/);
    silent.destroy();
    const next = listener.accept();
    listener.close();
    await assert.rejects(next, { code: 'ERR_FDSET_QMP_CLOSED' });
    await client.close();
    server.destroy();
  });
});

suite('a client that reconnects', () => {
  test('rejects what is in flight, tells its state, and keeps its event streams', async () => {
    const serve: Serve = async (socket, nextRequest) => {
      await greet(socket, nextRequest);
      for (;;) {
        const request = await nextRequest();
        if (request.includes('"hang"')) continue;
        socket.write('{"timestamp": {"seconds": 1, "microseconds": 0}, "event": "E"}\r\n');
        socket.write(reply(request, '{}'));
      }
    };
    const server = await RawServer.start(folder, serve);
    const client = await QmpClient.connect(server.path, { reconnect: { delayMs: 5 } });
    const states: [QmpClientState, string | undefined][] = [];
    client.onState((state, cause) => states.push([state, cause?.code]));
    const events = client.events('E');
    await client.execute('x');
    const hanging = client.execute('hang');
    server.drop();
    await assert.rejects(hanging, { code: 'ERR_FDSET_QMP_CLOSED' });
    assert.equal(client.state, 'reconnecting');
    await assert.rejects(client.execute('x'), /x: the QMP connection is lost, and being made anew/);
    await client.whenReady({ timeoutMs: 10_000 });
    await client.execute('x');
    assert.equal(events.takeBuffered().length, 2);
    await client.close();
    assert.deepEqual(states, [
      ['reconnecting', 'ERR_FDSET_QMP_CLOSED'],
      ['ready', undefined],
      ['closing', undefined],
      ['closed', undefined],
    ]);
    assert.equal(server.connections, 2);
    await server.close();
  });

  test('is not held up by a listener that throws', async () => {
    const server = await RawServer.start(folder, answering);
    const client = await QmpClient.connect(server.path, { reconnect: { delayMs: 5 } });
    const thrown = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
    const stop = client.onState(() => {
      stop();
      throw new Error('of the listener');
    });
    server.drop();
    assert.match(String(await thrown), /of the listener/);
    process.setUncaughtExceptionCaptureCallback(null);
    await client.whenReady({ timeoutMs: 10_000 });
    await client.close();
    await server.close();
  });

  test('gives up after as many attempts as allowed, and stops at once where it is closed', async () => {
    const server = await RawServer.start(folder, answering);
    const one = await QmpClient.connect(server.path, { reconnect: { delayMs: 1, attempts: 2 } });
    const other = await QmpClient.connect(server.path, { reconnect: { delayMs: 60_000 } });
    await server.close();
    assert.match((await one.closed)?.message ?? '', /connecting anew has failed/);
    await other.close();
    assert.equal(await other.closed, undefined);
  });
});

suite('a client that closes', () => {
  test('lets calls in flight have their replies, and takes no more', async () => {
    const serve: Serve = async (socket, nextRequest) => {
      await greet(socket, nextRequest);
      const request = await nextRequest();
      setTimeout(() => socket.write(reply(request, '{}')), 20);
    };
    const server = await RawServer.start(folder, serve);
    const client = await QmpClient.connect(server.path);
    const call = client.execute('slow');
    const closing = client.close();
    await assert.rejects(client.execute('x'), { code: 'ERR_FDSET_QMP_CLOSED' });
    await closing;
    assert.deepEqual(await call, {});
    assert.equal(client.state, 'closed');
    await server.close();
  });

  test('or is destroyed, which nothing waits for', async () => {
    const server = await RawServer.start(folder, greet);
    const client = await QmpClient.connect(server.path);
    const call = client.execute('never');
    client.destroy(new Error('enough'));
    await assert.rejects(call, /^FdsetError: never: the QMP client was destroyed: enough$/);
    assert.match((await client.closed)?.message ?? '', /enough/);
    await client.close();
    await server.close();
  });
});

suite('out of band', () => {
  test('commands with fds wait for each other, and for no more than eight others', async () => {
    const requests: string[] = [];
    const serve: Serve = async (socket, nextRequest) => {
      await greet(socket, nextRequest);
      for (;;) {
        const request = await nextRequest();
        requests.push(request);
        setTimeout(() => socket.write(reply(request, String(requests.length))), 5);
      }
    };
    const server = await RawServer.start(folder, serve);
    const client = await QmpClient.connect(server.path, { oob: true });
    const inFlight: number[] = [];
    let waiting = 0;
    const calls = Array.from({ length: 6 }, async () => {
      const fd = openSync('/dev/null', 'r');
      const call = client.execute('add-fd', {}, { fds: [fd] });
      closeSync(fd); // what waits has a duplicate
      waiting++;
      await call;
      inFlight.push(waiting - requests.length);
    });
    await Promise.all(calls);
    // Each left only when the one before it was answered.
    assert.deepEqual(inFlight, [5, 4, 3, 2, 1, 0]);
    const urgent = client.execute('migrate-pause', undefined, { oob: true });
    await urgent;
    assert.match(requests.at(-1)!, /^{"exec-oob":"migrate-pause","id":\d+}$/);
    await assert.rejects(client.execute('x', {}, { oob: true, fds: [0] }), { code: 'ERR_FDSET_QMP_NO_FDS' });
    await client.close();
    const plain = await QmpClient.connect(server.path);
    await assert.rejects(plain.execute('x', {}, { oob: true }), { code: 'ERR_FDSET_QMP_UNSUPPORTED' });
    await plain.close();
    await server.close();
  });

  test('every add-fd of many at once gets its own file', async () => {
    const served = new ServedMonitors();
    const client = await QmpClient.connect(served.path(), { oob: true });
    const files = ['/dev/null', '/dev/zero', '/dev/full'] as const;
    await Promise.all(
      Array.from({ length: 30 }, (_, set) => client.addFd({ path: files[set % 3]!, mode: 'r' }, { set })),
    );
    for (let set = 0; set < 30; set++) assert.equal(served.linkOf(set), files[set % 3]);
    await client.close();
    await served.close();
  });
});

test('an observer sees both directions, with the fds', async () => {
  const served = new ServedMonitors();
  const sent: [string, number][] = [];
  const received: JsonValue[] = [];
  const client = await QmpClient.connect(served.path(), {
    observer: {
      sent: (message, fds) => sent.push([message, fds.length]),
      received: (message) => received.push(message),
    },
  });
  await client.addFd({ path: '/dev/null', mode: 'r' });
  await client.close();
  assert.deepEqual(sent, [
    ['{"execute":"qmp_capabilities","id":1}', 0],
    ['{"execute":"add-fd","id":2}', 1],
  ]);
  assert.equal(received.length, 3);
  await served.close();
});
