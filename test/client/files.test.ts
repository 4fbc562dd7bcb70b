// What is handed over, whose it stays, and what is left of it when things go wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { getStatusFlags, O, setStatusFlags, socketPair } from '../../src/addon/index.ts';
import { QmpClient } from '../../src/client/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { ServedMonitors } from '../monitor/served-monitor.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { greet, RawServer, reply, type Serve } from './raw-server.ts';

checkOpenFds();

const folder = temporaryFolder();
const image = join(folder, 'image');
writeFileSync(image, 'image');

suite('a file', () => {
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

  /** The number of the newest fd of a set, in this process, which is the server's too. */
  const fdOf = (set: number): number =>
    served.fdsets
      .query()
      .find((each) => each['fdset-id'] === set)!
      .fds.at(-1)!.fd;

  test('by its path: with the access mode asked for, never made, never waited for', async () => {
    for (const [mode, flags] of [
      ['r', O.O_RDONLY],
      ['w', O.O_WRONLY],
      ['rw', O.O_RDWR],
    ] as const) {
      const { set, fd, path } = await client.addFd({ path: image, mode }, { set: 7, opaque: mode });
      assert.deepEqual([set, path], [7, '/dev/fdset/7']);
      assert.equal(getStatusFlags(fd) & (O.O_ACCMODE | O.O_NONBLOCK), flags);
    }
    assert.equal(readFileSync(image, 'utf8'), 'image', 'nothing is truncated');
    const missing = join(folder, 'missing');
    const refused = { code: 'ERR_FDSET_QMP_FILE', message: /missing: no such file: it has to exist/ };
    await assert.rejects(client.addFd({ path: missing, mode: 'rw' }), refused);
    assert.equal(existsSync(missing), false);
    const fifo = join(folder, 'fifo');
    spawnSync('mkfifo', [fifo]);
    await assert.rejects(client.addFd({ path: fifo, mode: 'w' }), /nobody reads from this FIFO/);
    await client.addFd({ path: fifo, mode: 'r' });
  });

  test('by an fd: opened once more, so that the server’s flags are not ours', async () => {
    const fd = openSync(image, constants.O_RDWR | constants.O_APPEND | constants.O_NONBLOCK);
    await client.addFd(fd, { set: 1 });
    assert.equal(getStatusFlags(fdOf(1)) & (O.O_ACCMODE | O.O_APPEND), O.O_RDWR | O.O_APPEND);
    setStatusFlags(fdOf(1), 0);
    assert.ok((getStatusFlags(fd) & O.O_APPEND) !== 0, 'ours has kept its flag');
    await client.addFd(fd, { set: 2, share: true });
    setStatusFlags(fdOf(2), 0);
    assert.ok((getStatusFlags(fd) & O.O_APPEND) === 0, 'a shared one has not');
    closeSync(fd);
  });

  test('a socket cannot be opened once more, and is handed over itself', async () => {
    const [left, right] = socketPair();
    await client.getFd(left, 'socket');
    await client.closeFd('socket');
    closeSync(left);
    closeSync(right);
  });

  test('by its owner: given away, sent or not', async () => {
    const sent = new OwnedFd(openSync(image, 'r'));
    await client.addFd(sent);
    assert.equal(sent.closed, true);
    const unsent = new OwnedFd(openSync(image, 'r'));
    const late = AbortSignal.abort(new Error('enough'));
    await assert.rejects(client.addFd(unsent, { signal: late }), /^Error: enough$/);
    assert.equal(unsent.closed, true);
  });

  test('withFdset: all in one set while the function runs, none when it has thrown or one could not be opened', async () => {
    const files = [{ path: image, mode: 'r' } as const, { path: image, mode: 'rw' } as const];
    const result = await client.withFdset(files, async ({ set, path, fds }) => {
      const [listed, ...more] = await client.queryFdsets();
      assert.deepEqual([listed?.set, listed?.fds.map(({ fd }) => fd), more], [set, fds, []]);
      return path;
    });
    assert.equal(result, '/dev/fdset/0');
    assert.deepEqual(await client.queryFdsets(), []);
    const throwing = client.withFdset(files, () => {
      throw new Error('use');
    });
    await assert.rejects(throwing, /^Error: use$/);
    const unopened = new OwnedFd(openSync(image, 'r'));
    const partly = client.withFdset([files[0]!, { path: '/nowhere', mode: 'r' }, unopened], () => undefined);
    await assert.rejects(partly, { code: 'ERR_FDSET_QMP_FILE' });
    assert.deepEqual([await client.queryFdsets(), unopened.closed], [[], true]);
  });

  test('withFdset removes its own members only, and those somebody has removed do not matter', async () => {
    const other = await client.addFd({ path: image, mode: 'r' }, { set: 5, opaque: 'other' });
    await client.withFdset([{ path: image, mode: 'r' }], ({ fds }) => client.removeFd(5, fds[0]), { set: 5 });
    assert.deepEqual(await client.queryFdsets(), [{ set: 5, fds: [{ fd: other.fd, opaque: 'other' }] }]);
  });
});

test('what is added after it was given up is removed again', async () => {
  const requests: string[] = [];
  let answer: () => void = () => undefined;
  let removed: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (removed = resolve));
  const serve: Serve = async (socket, nextRequest) => {
    await greet(socket, nextRequest);
    const add = await nextRequest();
    await new Promise<void>((resolve) => (answer = resolve));
    socket.write(reply(add, '{"fdset-id": 4, "fd": 17}'));
    const remove = await nextRequest();
    requests.push(remove);
    socket.write(reply(remove, '{}'));
    removed();
  };
  const server = await RawServer.start(folder, serve);
  const client = await QmpClient.connect(server.path);
  await assert.rejects(client.addFd({ path: image, mode: 'r' }, { timeoutMs: 20 }), { code: 'ERR_FDSET_QMP_TIMEOUT' });
  answer();
  await done;
  assert.match(requests[0]!, /"remove-fd","arguments":{"fdset-id":4,"fd":17}/);
  await client.close();
  await server.close();
});

test('closing waits until what was given up is removed', async () => {
  const requests: string[] = [];
  const serve: Serve = async (socket, nextRequest) => {
    await greet(socket, nextRequest);
    const add = await nextRequest();
    const other = await nextRequest();
    socket.write(`${reply(add, '{"fdset-id": 4, "fd": 17}')}${reply(other, '{}')}`);
    const remove = await nextRequest();
    requests.push(remove);
    socket.write(reply(remove, '{}'));
  };
  const server = await RawServer.start(folder, serve);
  const client = await QmpClient.connect(server.path);
  const controller = new AbortController();
  const added = client.addFd(new OwnedFd(openSync(image, 'r')), { signal: controller.signal });
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('enough'));
  await assert.rejects(added, /^Error: enough$/);
  const other = client.execute('x');
  await client.close();
  await other;
  assert.match(requests[0] ?? 'nothing was removed', /"remove-fd","arguments":{"fdset-id":4,"fd":17}/);
  await server.close();
});

test('a server too old for fd sets is told apart by its greeting', async () => {
  const server = await RawServer.start(folder, async (socket, nextRequest) => {
    socket.write('{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 1}, "package": ""}, ');
    socket.write('"capabilities": []}}\r\n');
    socket.write(reply(await nextRequest(), '{}'));
  });
  const client = await QmpClient.connect(server.path);
  const refused = { code: 'ERR_FDSET_QMP_UNSUPPORTED', message: /fd sets came with QEMU 1\.3/ };
  await assert.rejects(client.addFd({ path: image, mode: 'r' }), refused);
  await client.close();
  await server.close();
});
