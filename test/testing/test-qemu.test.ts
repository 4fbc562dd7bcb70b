import assert from 'node:assert/strict';
import { openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { QmpClient, QmpError } from '../../src/client/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { errorReply, TestQemu } from '../../src/testing/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const image = join(temporaryFolder(), 'disk.img');
writeFileSync(image, 'image');

let qemu: TestQemu;
beforeEach(() => {
  qemu = new TestQemu();
});
afterEach(() => qemu.close());

async function withClient(use: (client: QmpClient) => Promise<void>): Promise<void> {
  const client = await QmpClient.connect(qemu.path);
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** Runs a command with the image's fd. */
async function passImage(client: QmpClient, command: string, args: object = {}): Promise<unknown> {
  const fd = new OwnedFd(openSync(image, 'r'));
  try {
    return await client.execute(command, { ...args }, { fds: [fd.fd] });
  } finally {
    fd.close();
  }
}

test('a file that is passed lies in a real fd set, and the log says which file it was', async () => {
  await withClient(async (client) => {
    const added = (await passImage(client, 'add-fd', { 'fdset-id': 1, opaque: 'disk' })) as { fd: number };
    assert.deepEqual(qemu.fdsets.query(), [{ 'fdset-id': 1, fds: [{ fd: added.fd, opaque: 'disk' }] }]);
    const { command, arguments: args, file, connection } = await qemu.waitFor('add-fd');
    assert.deepEqual(
      { command, args, connection },
      { command: 'add-fd', args: { 'fdset-id': 1, opaque: 'disk' }, connection: 1 },
    );
    const { dev, ino } = statSync(image);
    assert.deepEqual(file, { dev, ino, mode: 'r' });
    await client.execute('remove-fd', { 'fdset-id': 1 });
  });
  assert.deepEqual(
    qemu.received.map(({ command }) => command),
    ['qmp_capabilities', 'add-fd', 'remove-fd'],
  );
});

test('close names the fds that clients have left', async () => {
  const left = new TestQemu();
  const client = await QmpClient.connect(left.path);
  await passImage(client, 'add-fd', { 'fdset-id': 4 });
  await passImage(client, 'getfd', { fdname: 'disk' });
  await client.close();
  await assert.rejects(left.close(), (error: Error & { code: string }) => {
    assert.equal(error.code, 'ERR_FDSET_FDS_LEFT');
    assert.match(error.message, /fd \d+ of set 4 \(\/.*disk\.img\), 'disk' of getfd$/);
    return true;
  });
});

test('as QEMU 7.2 it drops sets that nobody uses when its last client leaves, and says so in the greeting', async () => {
  const old = new TestQemu({ profile: 'qemu-7.2' });
  const client = await QmpClient.connect(old.path);
  assert.deepEqual([client.version.qemu.major, client.version.qemu.minor], [7, 2]);
  await passImage(client, 'add-fd', { 'fdset-id': 4 });
  await client.close();
  await old.close();
});

test('a command answers the value, the error or the function that it was given', async () => {
  qemu.reply('query-status', { status: 'running', running: true });
  qemu.reply('device_del', errorReply("Device 'd' not found", 'DeviceNotFound'));
  qemu.reply('query-version', ({ which = 'nothing' }) => ({ asked: which }));
  qemu.reply('device_add', async ({ id }) => {
    if (id === 'taken') throw errorReply(`Duplicate device ID '${id}'`);
  });
  await withClient(async (client) => {
    assert.deepEqual(await client.execute('query-status'), { status: 'running', running: true });
    const refused = client.execute('device_del', { id: 'd' });
    await assert.rejects(refused, (error: QmpError) => error.class === 'DeviceNotFound');
    const version = await client.execute('query-version', { which: 18446744073709551615n });
    assert.deepEqual(version, { asked: 18446744073709551615n });
    assert.deepEqual(await client.execute('device_add', { id: 'new' }), {});
    await assert.rejects(client.execute('device_add', { id: 'taken' }), /Duplicate device ID 'taken'/);
    await assert.rejects(client.execute('stop'), /The command stop has not been found/);
    const commands = (await client.execute('query-commands')) as { name: string }[];
    assert.ok(commands.some(({ name }) => name === 'device_add'));
  });
});

test('a function may take the fd that came, and close tells where it leaves it open', async () => {
  const careless = new TestQemu();
  careless.reply('netdev_add', (_, call) => ({ open: call.takeFd() !== null }));
  const client = await QmpClient.connect(careless.path);
  assert.deepEqual(await passImage(client, 'netdev_add'), { open: true });
  await client.close();
  await assert.rejects(careless.close(), /fd \d+ that a reply's function took \(.*disk\.img\)/);
});

test('the fd that comes with a command of a fixed reply is in the log, and closed', async () => {
  qemu.reply('netdev_add', {});
  await withClient(async (client) => {
    await passImage(client, 'netdev_add');
    assert.equal(qemu.received.at(-1)?.file?.ino, statSync(image).ino);
  });
});

test('an event reaches the client', async () => {
  const connection = await QmpConnection.open(qemu.path);
  await connection.read(1);
  connection.send('{"execute": "qmp_capabilities"}');
  await connection.read(1);
  qemu.emit('DEVICE_DELETED', { device: 'd' });
  qemu.emit('STOP');
  assert.match(
    await connection.read(2),
    /"event": "DEVICE_DELETED", "data": {"device": "d"}}\r\n.*"event": "STOP"}\r\n/,
  );
  connection.close();
});

test('a client that asks a refusing QEMU gets ECONNREFUSED, and later ones are served again', async () => {
  qemu.receive('refuse');
  await assert.rejects(QmpClient.connect(qemu.path), { errnoName: 'ECONNREFUSED' });
  qemu.receive('serve');
  await withClient(async (client) => {
    await client.execute('query-fdsets');
  });
});

test('a client may be hung up on, and it may never be greeted', async () => {
  qemu.receive('hang-up');
  await assert.rejects(QmpClient.connect(qemu.path), { code: 'ERR_FDSET_QMP_CLOSED' });
  qemu.receive('silent');
  await assert.rejects(QmpClient.connect(qemu.path, { timeoutMs: 50 }), { code: 'ERR_FDSET_QMP_TIMEOUT' });
  qemu.receive('serve');
  await withClient(async () => undefined);
});

test('a lost fd: add-fd says that none has come, the log that one was sent', async () => {
  qemu.fault('add-fd', { kind: 'lose-fd' });
  await withClient(async (client) => {
    await assert.rejects(passImage(client, 'add-fd'), /No file descriptor supplied via SCM_RIGHTS/);
    assert.equal(qemu.received.at(-1)?.file?.ino, statSync(image).ino);
    await passImage(client, 'add-fd', { 'fdset-id': 0 });
    await client.execute('remove-fd', { 'fdset-id': 0 });
  });
});

/** What comes on a connection of its own after these bytes, to its end or the number of messages. */
async function dialogue(messages: number | 'end', ...requests: string[]): Promise<string> {
  const connection = await QmpConnection.open(qemu.path);
  await connection.read(1);
  connection.send('{"execute": "qmp_capabilities"}');
  await connection.read(1);
  connection.send(requests.join(''));
  try {
    if (messages !== 'end') return await connection.read(messages);
    await connection.readEnd();
    return (
      connection
        .take()
        .map(({ text }) => text)
        .join('') + connection.unfinished
    );
  } finally {
    connection.close();
  }
}

for (const [afterBytes, arrives] of [
  [0, ''],
  [10, '{"return":'],
  [14, '{"return": []}'],
  [99, '{"return": []}\r\n'],
] as const) {
  test(`a reply may be cut after ${afterBytes} bytes, and the connection with it`, async () => {
    qemu.fault('query-fdsets', { kind: 'drop', afterBytes });
    assert.equal(await dialogue('end', '{"execute": "query-fdsets"}', '{"execute": "query-version"}'), arrives);
  });
}

test('a command may be answered twice, with an unknown id, or with other text', async () => {
  qemu.fault('query-fdsets', { kind: 'answer-twice' });
  assert.equal(
    await dialogue(2, '{"execute": "query-fdsets", "id": 1}'),
    '{"return": [], "id": 1}\r\n{"return": [], "id": 1}\r\n',
  );
  qemu.fault('query-fdsets', { kind: 'unknown-id' });
  qemu.fault('closefd', { kind: 'unknown-id' });
  assert.equal(
    await dialogue(2, '{"execute": "query-fdsets", "id": 1}', '{"execute": "closefd", "arguments": {"fdname": "x"}}'),
    '{"return": [], "id": "fdset-testing-unknown"}\r\n' +
      '{"id": "fdset-testing-unknown", "error": {"class": "GenericError", "desc": "File descriptor named \'x\' not found"}}\r\n',
  );
  qemu.fault('query-fdsets', { kind: 'instead', text: '{}\r\n' });
  assert.equal(await dialogue(1, '{"execute": "query-fdsets"}'), '{}\r\n');
});

test('a fault happens as often as it was ordered, each to the next command of that name', async () => {
  qemu.fault('query-fdsets', { kind: 'instead', text: '{}\r\n' }, 2);
  const request = '{"execute": "query-fdsets"}';
  assert.equal(
    await dialogue(4, request, '{"execute": "query-nothing"}', request, request),
    '{}\r\n{"error": {"class": "CommandNotFound", "desc": "The command query-nothing has not been found"}}\r\n' +
      '{}\r\n{"return": []}\r\n',
  );
});

test('a delayed command is answered when the test says so, and those behind it after it', async () => {
  let goOn: () => void = () => undefined;
  qemu.fault('query-fdsets', { kind: 'delay', until: new Promise<void>((resolve) => (goOn = resolve)) });
  await withClient(async (client) => {
    const order: string[] = [];
    const slow = client.execute('query-fdsets').then(() => order.push('slow'));
    const next = client.execute('query-commands').then(() => order.push('next'));
    await qemu.waitFor('query-fdsets');
    goOn();
    await Promise.all([slow, next]);
    assert.deepEqual(order, ['slow', 'next']);
  });
});

test('close ends a delay, and the connection of a client that waits', async () => {
  const slow = new TestQemu();
  slow.fault('query-fdsets', { kind: 'delay', until: 1_000_000 });
  const client = await QmpClient.connect(slow.path);
  const reply = client.execute('query-fdsets');
  await slow.waitFor('query-fdsets');
  await slow.close();
  assert.deepEqual(await reply, []);
  await client.close();
});

test('what is no request stands in the log with what is wrong with it', async () => {
  await dialogue(2, '{]', '[1]');
  const [, broken, list] = qemu.received;
  assert.match(broken?.problem ?? '', /JSON parse error/);
  assert.deepEqual([list?.command, list?.problem], ['', undefined]);
});

test('waiting for a command that does not come fails with what has come', async () => {
  await withClient(async (client) => {
    await client.execute('query-fdsets');
    await assert.rejects(qemu.waitFor('add-fd', 2, 20), {
      code: 'ERR_FDSET_TEST_TIMEOUT',
      message: 'no add-fd (2 times) came within 20 ms, but qmp_capabilities, query-fdsets',
    });
  });
});

test('quit ends it as it ends QEMU: the reply, the end of the connection, and nobody listens', async () => {
  assert.equal(await dialogue('end', '{"execute": "quit"}'), '{"return": {}}\r\n');
  await assert.rejects(QmpClient.connect(qemu.path), { errnoName: 'ECONNREFUSED' });
});
