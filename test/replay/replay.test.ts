// A conversation that was recorded is played again to other servers, and serves as a server itself.
import assert from 'node:assert/strict';
import { openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { QmpClient, QmpError, recordTo } from '../../src/client/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { readRecording } from '../../src/recording/index.ts';
import { replay, type ReplayResult, serveRecording } from '../../src/replay/index.ts';
import { TestQemu } from '../../src/testing/index.ts';
import { fdset } from '../cli/fdset-process.ts';
import { checkOpenFds } from '../open-fds.ts';
import { startMachine } from '../qemu-process.ts';
import { qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const folder = temporaryFolder();
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));

/** Records what `use` does with a server, and returns the file. */
async function record(path: string, name: string, use: (client: QmpClient) => Promise<void>): Promise<string> {
  const file = join(folder, `${name}.jsonl`);
  const recorder = recordTo(file);
  const client = await QmpClient.connect(path, { observer: recorder });
  await use(client);
  await client.close();
  recorder.close();
  return file;
}

/** Passes a file in a set that the server numbers, looks at it, removes it, and makes a mistake. */
async function passOneFile(client: QmpClient): Promise<void> {
  const fd = new OwnedFd(openSync(image, 'r+'));
  try {
    const added = await client.execute('add-fd', { opaque: 'disk' }, { fds: [fd.fd] });
    const { 'fdset-id': set } = added as { 'fdset-id': number };
    await client.execute('query-fdsets');
    await client.execute('remove-fd', { 'fdset-id': set });
    await assert.rejects(client.execute('remove-fd', { 'fdset-id': 99, fd: 3 }), QmpError);
  } finally {
    fd.close();
  }
}

async function replayTo(path: string, file: string): Promise<ReplayResult> {
  const client = await QmpClient.connect(path);
  try {
    return await replay(readRecording(file), client, { open: ({ path }) => new OwnedFd(openSync(path, 'r+')) });
  } finally {
    await client.close();
  }
}

test('a recording holds both directions, and what was passed', async () => {
  const qemu = new TestQemu();
  try {
    const file = await record(qemu.path, 'both', passOneFile);
    const [greeting, , , add, added] = readRecording(file).messages;
    assert.equal(greeting?.from, 'server');
    assert.ok(greeting.message.has('QMP'));
    assert.equal(add?.from, 'client');
    const { ino, dev } = statSync(image);
    assert.deepEqual(add.files, [
      { path: image, mode: 'rw', direct: false, type: 'file', device: dev, inode: ino, size: 65_536 },
    ]);
    assert.ok(added!.at >= add.at);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  } finally {
    await qemu.close();
  }
});

describe('played again', () => {
  test('a server that behaves the same shows no difference, whatever numbers it gives', async () => {
    const [first, second] = [new TestQemu(), new TestQemu()];
    try {
      const file = await record(first.path, 'same', passOneFile);
      second.fdsets.add(new OwnedFd(openSync(image, 'r')), {}); // so the next set is another
      const { commands, differences } = await replayTo(second.path, file);
      assert.equal(commands, 4);
      assert.deepEqual([...new Set(differences.map(({ name }) => name))], ['query-fdsets']);
      await second.fdsets.remove(0);
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });

  test('other results, other errors and events that do not come are told, with the line', async () => {
    const qemu = new TestQemu();
    try {
      qemu.reply('query-name', { name: 'a', size: 9_007_199_254_740_993n });
      qemu.reply('query-list', [1, 2]);
      const file = await record(qemu.path, 'other', async (client) => {
        await client.execute('query-name');
        const stopped = client.waitForEvent('STOP');
        qemu.emit('STOP');
        await stopped;
        await client.execute('query-list');
        await client.execute('query-version');
      });
      qemu.reply('query-name', { name: 'b', size: 9_007_199_254_740_992n, more: true });
      qemu.reply('query-list', [1]);
      const client = await QmpClient.connect(qemu.path);
      const { differences } = await replay(readRecording(file), client, {
        open: () => assert.fail('no file was passed'),
        timeoutMs: 200,
      });
      await client.close();
      assert.deepEqual(
        differences.map(({ line, name, what }) => `${line} ${name}: ${what}`),
        [
          '6 query-name: name: "a" was recorded, "b" came',
          '6 query-name: size: "9007199254740993" was recorded, "9007199254740992" came',
          '6 query-name: more: was not recorded, true came',
          '7 STOP: this event has not come',
          '9 query-list: the list: 2 elements were recorded, 1 came',
        ],
      );
    } finally {
      await qemu.close();
    }
  });

  for (const version of qemuVersions) {
    test(`by fdset replay to QEMU ${version.name}`, { skip: version.missing }, async () => {
      const socket = join(folder, `qemu-${version.name}.sock`);
      const file = join(folder, `cli-${version.name}.jsonl`);
      const qemu = await startMachine(version, socket);
      try {
        const args = ['driver=file', 'node-name=n', `filename=@${image}:rw`];
        assert.equal(fdset('exec', socket, 'blockdev-add', ...args, '--record', file).code, 0);
        assert.equal(fdset('exec', socket, 'blockdev-del', 'node-name=n').code, 0);
        const same = fdset('replay', file, socket);
        assert.match(same.stdout, /^3 commands, no difference\n$/, same.stderr);
        assert.equal(same.code, 0);
        const again = fdset('replay', file, socket);
        assert.equal(again.code, 1);
        assert.match(again.stdout, /:\d+: blockdev-add: it has failed: GenericError: Duplicate nodes/);
      } finally {
        await qemu.end();
      }
    });
  }
});

describe('served as a fake QEMU', () => {
  test('it answers as recorded, events included, to every client anew', async () => {
    const qemu = new TestQemu();
    const file = await record(qemu.path, 'served', async (client) => {
      await passOneFile(client);
      const stopped = client.waitForEvent('STOP');
      qemu.emit('STOP');
      await stopped;
    });
    await qemu.close();
    const fake = serveRecording(file);
    try {
      for (let round = 0; round < 2; round++) {
        const client = await QmpClient.connect(fake.path);
        const stopped = client.waitForEvent('STOP');
        await passOneFile(client);
        await stopped;
        await client.close();
      }
      assert.deepEqual(fake.unexpected, []);
      const client = await QmpClient.connect(fake.path);
      await assert.rejects(client.execute('query-kvm'), /this command was not recorded with these arguments/);
      await assert.rejects(
        client.execute('add-fd', { opaque: 'disk' }).then(() => client.execute('add-fd', { opaque: 'disk' })),
      );
      await client.close();
      assert.deepEqual(fake.unexpected, [
        '{"execute": "query-kvm"}',
        '{"execute": "add-fd", "arguments": {"opaque": "disk"}} without a file',
        '{"execute": "add-fd", "arguments": {"opaque": "disk"}}',
      ]);
    } finally {
      fake.close();
    }
  });
});

const broken: [string, string, RegExp][] = [
  ['another file', '{"a":1}\n', /:1: this is no recording/],
  ['no JSON', 'x', /:1: this is no JSON object/],
  ['a later version', '{"fdset-recording":2}\n', /made by a newer fdset/],
  ['a broken line', '{"fdset-recording":1}\n{"from":"server"', /:2: this is no JSON object/],
  ['nobody who speaks', '{"fdset-recording":1}\n{"message":{}}', /:2: `from` is neither client nor server/],
  ['a file without a mode', '{"fdset-recording":1}\n{"from":"client","message":{},"files":[{"path":"a"}]}', /no mode/],
];
for (const [what, text, says] of broken) {
  test(`${what} is refused as a recording`, () => {
    const file = join(folder, 'broken.jsonl');
    writeFileSync(file, text);
    assert.throws(
      () => readRecording(file),
      (error) => error instanceof FdsetError && error.code === 'ERR_FDSET_RECORDING' && says.test(error.message),
    );
  });
}

test(
  'a disk that is full is told when the recording is closed',
  { skip: !statSync('/dev/full').isCharacterDevice() },
  () => {
    const recorder = recordTo('/dev/full');
    recorder.sent('{"execute":"quit"}', []);
    assert.throws(() => recorder.close(), { code: 'ENOSPC' });
    recorder.close();
  },
);
