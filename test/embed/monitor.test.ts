import assert from 'node:assert/strict';
import { readFileSync, statSync, openSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { QmpClient } from '../../src/client/index.ts';
import {
  array,
  command,
  event,
  FdsetError,
  int,
  Monitor,
  type MonitorOptions,
  optional,
  OwnedFd,
  str,
  struct,
} from '../../src/embed/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';

checkOpenFds();

const folder = temporaryFolder();
const path = join(folder, 'qmp.sock');
const file = join(folder, 'file');
writeFileSync(file, 'what the file says');

const greet = command('x-greet', {
  data: { name: str, times: optional(int) },
  returns: array(struct('XGreeting', { text: str })),
});
const readFile = command('x-read', { returns: struct('XRead', { text: str }) });
const happened = event('X_HAPPENED', { data: { what: str } });
const ended = event('X_ENDED');

let monitor: Monitor;
beforeEach(() => {
  monitor = new Monitor();
});
afterEach(() => monitor.close());

async function withClient(use: (client: QmpClient) => Promise<void>, target: string = path): Promise<void> {
  const client = await QmpClient.connect(target);
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

test('a command gets arguments that fit its schema, and its result goes out', async () => {
  monitor.command(greet, ({ name, times = 1 }) =>
    Array.from({ length: Number(times) }, () => ({ text: `hello ${name}` })),
  );
  await monitor.listen(path);
  await withClient(async (client) => {
    const replies = (await client.execute('x-greet', { name: 'you', times: 2 })) as { text: string }[];
    assert.deepEqual(
      replies.map((reply) => reply.text),
      ['hello you', 'hello you'],
    );
    await assert.rejects(client.execute('x-greet', { name: 1 }), /Invalid parameter type for 'name', expected: string/);
    await assert.rejects(client.execute('x-greet'), /Parameter 'name' is missing/);
  });
});

test('what does not fit the schema does not compile', () => {
  // @ts-expect-error -- a greeting has a text
  monitor.command(greet, () => [{}]);
  // @ts-expect-error -- there is no such argument
  monitor.command(readFile, ({ name }) => ({ text: name }));
  monitor.event(happened).event(ended);
  // @ts-expect-error -- the data is missing
  const withoutData = (): void => monitor.emit(happened);
  // @ts-expect-error -- and here there is none
  const withData = (): void => monitor.emit(ended, { what: 'it' });
  assert.deepEqual([typeof withoutData, typeof withData], ['function', 'function']);
  monitor.emit(ended);
});

test('a handler is handed the fd that came with its command, and owns it', async () => {
  monitor.command(readFile, (_, call) => {
    const fd = call.fd();
    try {
      return { text: readFileSync(fd.fd, 'utf8') };
    } finally {
      fd.close();
    }
  });
  await monitor.listen(path);
  await withClient(async (client) => {
    const fd = new OwnedFd(openSync(file, 'r'));
    const reply = await client.execute('x-read', {}, { fds: [fd.fd] });
    fd.close();
    assert.deepEqual(reply, { text: 'what the file says' });
    await assert.rejects(client.execute('x-read'), /No file descriptor supplied via SCM_RIGHTS/);
  });
});

test('a handler may do without an fd, take a named one, and open one of a set', async () => {
  const open = command('x-open', { data: { set: int }, returns: struct('XOpen', { ino: int }) });
  const take = command('x-take', { data: { fdname: str }, returns: struct('XTake', { ino: int }) });
  monitor.command(readFile, (_, call) => ({ text: call.optionalFd() === null ? 'no fd' : 'an fd' }));
  monitor.command(take, ({ fdname }, { namedFds }) => inodeOf(namedFds.take(fdname)));
  monitor.command(open, ({ set }) => inodeOf(monitor.fdsets.openDup(Number(set), 0, 'x-open', `/dev/fdset/${set}`)));
  await monitor.listen(path);
  await withClient(async (client) => {
    assert.deepEqual(await client.execute('x-read'), { text: 'no fd' });
    const fd = new OwnedFd(openSync(file, 'r'));
    await client.execute('getfd', { fdname: 'f' }, { fds: [fd.fd] });
    await client.execute('add-fd', { 'fdset-id': 7 }, { fds: [fd.fd] });
    fd.close();
    const expected = { ino: statSync(file).ino };
    assert.deepEqual(await client.execute('x-take', { fdname: 'f' }), expected);
    assert.deepEqual(await client.execute('x-open', { set: 7 }), expected);
  });
});

/** Closes what it is given. */
function inodeOf(opened: { readonly fd: number; close(): void }): { ino: number } {
  const { ino } = statSync(`/proc/self/fd/${opened.fd}`);
  opened.close();
  return { ino };
}

test('a FdsetError is the error reply, a promise is waited for', async () => {
  monitor.command(greet, async ({ name }) => {
    await Promise.resolve();
    throw new FdsetError('ERR_MY_PROGRAM', `I do not greet ${name}`, { errorClass: 'DeviceNotFound' });
  });
  await monitor.listen(path);
  const connection = await QmpConnection.open(path);
  await connection.read(1);
  connection.send('{"execute": "qmp_capabilities"}{"execute": "x-greet", "arguments": {"name": "you"}}');
  assert.equal(
    await connection.read(2),
    '{"return": {}}\r\n{"error": {"class": "DeviceNotFound", "desc": "I do not greet you"}}\r\n',
  );
  connection.close();
});

test('an event goes to every client, and must be declared', async () => {
  assert.throws(() => monitor.emit(happened, { what: 'it' }), /event 'X_HAPPENED' is not declared/);
  monitor.event(happened);
  await monitor.listen(path);
  await monitor.listen(`${path}2`);
  await withClient(async (one) => {
    await withClient(async (other) => {
      const waiting = [one, other].map((client) => client.waitForEvent('X_HAPPENED'));
      monitor.emit(happened, { what: 'it' });
      for (const { data } of await Promise.all(waiting)) assert.deepEqual(data, { what: 'it' });
    }, `${path}2`);
  });
});

test('commands and events of the program stand in the introspection beside QEMU’s', async () => {
  monitor.command(greet, () => []).event(happened);
  await monitor.listen(path);
  await withClient(async (client) => {
    const names = (await client.querySchema()).map(({ name }) => name);
    for (const name of ['x-greet', 'X_HAPPENED', 'add-fd', 'query-fdsets']) assert.ok(names.includes(name), name);
    assert.equal(names.includes('quit'), false, 'without onQuit there is no quit');
  });
});

test('quit is known where the program wants to be told of it', async () => {
  let told: () => void = () => undefined;
  const quit = new Promise<void>((resolve) => (told = resolve));
  const quitting = new Monitor({ onQuit: () => told() });
  await quitting.listen(path);
  await withClient(async (client) => {
    await client.execute('quit');
    await quit;
  });
  await quitting.close();
});

test('it listens on a path of a mode, an abstract name, an inherited socket and TCP', async () => {
  await monitor.listen({ path, mode: 0o600 });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await monitor.listen(`@${path}`);
  const inherited = join(folder, 'inherited.sock');
  await monitor.listen(new OwnedFd(listeningSocket(inherited)));
  for (const target of [path, `@${path}`, inherited]) await withClient(async () => undefined, target);
  const address = await monitor.listen({ host: '127.0.0.1', port: 0 });
  assert.equal(address.type, 'inet');
  const socket = net.connect({ host: '127.0.0.1', port: address.type === 'inet' ? address.port : 0 });
  const [greeting] = (await new Promise((resolve) => socket.once('data', (data) => resolve([String(data)])))) as [
    string,
  ];
  assert.match(greeting, /^\{"QMP": /);
  socket.destroy();
});

test('who may not connect is hung up on', async () => {
  const seen: unknown[] = [];
  const choosy = new Monitor({
    accepts: (peer) => {
      seen.push(peer?.pid);
      return seen.length > 1;
    },
  });
  await choosy.listen(path);
  await assert.rejects(QmpClient.connect(path), { code: 'ERR_FDSET_QMP_CLOSED' });
  await withClient(async () => undefined);
  assert.deepEqual(seen, [process.pid, process.pid]);
  await choosy.close();
});

test('as QEMU 7.2 it says so in its greeting', async () => {
  const old = new Monitor({ profile: 'qemu-7.2' });
  await old.listen(path);
  await withClient(async (client) => {
    assert.deepEqual([client.version.qemu.major, client.version.qemu.minor], [7, 2]);
  });
  await old.close();
  assert.throws(() => new Monitor({ profile: 'qemu-1.0' } as unknown as MonitorOptions), TypeError);
});

test('close closes connections, sockets and fds, may be called twice, and nothing listens after it', async () => {
  await monitor.listen(path);
  const client = await QmpClient.connect(path);
  const fd = new OwnedFd(openSync(file, 'r'));
  await client.execute('add-fd', {}, { fds: [fd.fd] });
  fd.close();
  await Promise.all([monitor.close(), monitor[Symbol.asyncDispose]()]);
  await assert.rejects(client.execute('query-fdsets'), { code: 'ERR_FDSET_QMP_CLOSED' });
  await client.close();
  await assert.rejects(QmpClient.connect(path), { errnoName: 'ENOENT' });
  await assert.rejects(monitor.listen(path), { code: 'ERR_FDSET_MONITOR_CLOSED' });
});

test('a listening socket that cannot be had is refused, and what was handed over is closed', async () => {
  await assert.rejects(monitor.listen(join(folder, 'none', 'qmp.sock')), { errnoName: 'ENOENT' });
  const notASocket = new OwnedFd(openSync(file, 'r'));
  await assert.rejects(monitor.listen(notASocket), { errnoName: 'ENOTSOCK' });
  assert.equal(notASocket.closed, true);
});
