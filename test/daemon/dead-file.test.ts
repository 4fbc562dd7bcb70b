// A file whose server is dead stops nobody but those who wait for its data: with a FUSE file that hangs, QMP answers,
// other exports go on, exports and nodes and fds are let go of, and the daemon ends.
import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { QmpClient } from '../../src/client/index.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { FuseFile, type FuseOperation, fuseSkipReason } from '../fuse-file.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { DaemonUnderTest, withDaemon } from './daemon-under-test.ts';

checkOpenFds();

const MIB = 1 << 20;
const folder = temporaryFolder();
let files = 0;
const operations: FuseOperation[] = ['open', 'getattr', 'read', 'write', 'fsync', 'flush', 'fallocate'];

/** Runs with a FUSE file, which is served again and unmounted at the end. */
async function withFuse(run: (file: FuseFile) => Promise<void>): Promise<void> {
  const file = await FuseFile.mount(MIB);
  try {
    await run(file);
  } finally {
    await revive(file);
    await file.close();
  }
}

async function revive(file: FuseFile): Promise<void> {
  for (const operation of operations) await file.set(operation, 'ok');
  await file.release();
}

/** Exports the FUSE file, by an fd set, as `dead`, and a good one beside it. */
async function exportBoth(daemon: DaemonUnderTest, client: QmpClient, file: FuseFile): Promise<void> {
  const good = join(folder, `good${files++}`);
  writeFileSync(good, Buffer.alloc(MIB, 1));
  await daemon.startNbd(client);
  await daemon.exportFile(client, 'good', good);
  await addFd(client, 1, file.path);
  await daemon.exportFile(client, 'dead', '/dev/fdset/1');
}

async function addFd(client: QmpClient, set: number, path: string): Promise<void> {
  const fd = openSync(path, 'r+');
  await client.execute('add-fd', { 'fdset-id': set }, { fds: [fd] });
  closeSync(fd);
}

/** Everything but the dead file answers, on a monitor that is free and on an export that is good. */
async function checkRest(daemon: DaemonUnderTest): Promise<void> {
  const other = await daemon.client(2);
  await other.execute('query-version', undefined, { timeoutMs: 5000 });
  assert.equal(
    ((await other.execute('query-named-block-nodes', undefined, { timeoutMs: 5000 })) as unknown[]).length,
    2,
  );
  await other.close();
  const nbd = await daemon.nbdClient('good');
  await nbd.write(512, Buffer.alloc(512, 2));
  assert.deepEqual(await nbd.read(512, 512), Buffer.alloc(512, 2));
  await nbd.flush();
  await nbd.disconnect();
}

type Nbd = Awaited<ReturnType<DaemonUnderTest['nbdClient']>>;

/** What makes a request hang, and the request. */
const hanging: [FuseOperation, (nbd: Nbd) => Promise<unknown>][] = [
  ['read', (nbd) => nbd.read(0, 4096)],
  ['write', (nbd) => nbd.write(0, Buffer.alloc(4096, 9))],
  ['fsync', (nbd) => nbd.write(0, Buffer.alloc(4096, 9)).then(() => nbd.flush())],
];

// They wait for the limits of the block layer most of the time.
describe('a file that hangs', { skip: fuseSkipReason(), concurrency: 5 }, () => {
  for (const [operation, request] of hanging) {
    test(`in ${operation} leaves monitors and other exports alone, and lets go of its own`, () =>
      withFuse((file) =>
        withDaemon(folder, async (daemon) => {
          const client = await daemon.client();
          await exportBoth(daemon, client, file);
          await file.set(operation, 'hang');
          const nbd = await daemon.nbdClient('dead');
          const outcome = request(nbd).then(
            () => 'answered',
            () => 'cut off',
          );
          await file.untilKept(1);
          await checkRest(daemon);
          const del = { id: 'dead', mode: 'hard' };
          assert.ok(await client.execute('block-export-del', del, { timeoutMs: 5000 }));
          assert.equal(await outcome, 'cut off');
          await untilGone(client, 'dead');
          await client.execute('blockdev-del', { 'node-name': 'dead' }, { timeoutMs: 5000 });
          await client.execute('remove-fd', { 'fdset-id': 1 }, { timeoutMs: 5000 });
          await revive(file);
          await client.execute('nbd-server-stop');
          await client.execute('blockdev-del', { 'node-name': 'good' });
        }),
      ));

    for (const end of ['quit', 'SIGTERM'] as const) {
      test(`in ${operation} does not keep the daemon from ending by ${end}`, () =>
        withFuse(async (file) => {
          const daemon = await DaemonUnderTest.start(folder);
          try {
            const client = await daemon.client();
            await exportBoth(daemon, client, file);
            await file.set(operation, 'hang');
            const nbd = await daemon.nbdClient('dead');
            void request(nbd).catch(() => undefined);
            await file.untilKept(1);
            if (end === 'quit') await client.execute('quit', undefined, { timeoutMs: 15_000 });
            else daemon.process.child.kill('SIGTERM');
            await daemon.untilEnded();
          } finally {
            await daemon.leave();
            await revive(file);
            await daemon.process.end('SIGKILL');
          }
        }));
    }
  }

  test('in open fails blockdev-add in bounded time', () =>
    withFuse((file) =>
      withDaemon(folder, async (daemon) => {
        const client = await daemon.client();
        await file.set('open', 'hang');
        const node = { driver: 'file', 'node-name': 'n', filename: file.path };
        await assert.rejects(client.execute('blockdev-add', node, { timeoutMs: 20_000 }), /no answer within 10 s$/);
        await revive(file);
      }),
    ));
});

describe('a passed fd whose close hangs', { skip: fuseSkipReason() }, () => {
  /** Makes closes hang, and getattr, so that nobody can ask what file it is either. */
  async function die(file: FuseFile): Promise<void> {
    await file.set('flush', 'hang');
    await file.set('getattr', 'hang');
  }

  test('is removed from its set and from its name within seconds, however many there are', () =>
    withFuse((file) =>
      withDaemon(folder, async (daemon) => {
        const client = await daemon.client();
        const fd = openSync(file.path, 'r+');
        for (let index = 0; index < 40; index++) await client.execute('add-fd', { 'fdset-id': 1 }, { fds: [fd] });
        for (const fdname of ['a', 'b']) await client.execute('getfd', { fdname }, { fds: [fd] });
        await die(file);
        await client.execute('remove-fd', { 'fdset-id': 1 }, { timeoutMs: 10_000 });
        assert.deepEqual(await client.execute('query-fdsets'), []);
        await client.execute('closefd', { fdname: 'a' }, { timeoutMs: 10_000 });
        await client.execute('getfd', { fdname: 'b' }, { fds: [fd], timeoutMs: 10_000 });
        const start = client.execute('nbd-server-start', { addr: { type: 'fd', data: { str: 'b' } } });
        await assert.rejects(start, /File descriptor 'b' is not a socket$/);
        // Another file is still opened, read and closed: the threads are not all gone.
        const good = join(folder, `good${files++}`);
        writeFileSync(good, Buffer.alloc(MIB));
        const node = { driver: 'file', 'node-name': 'n', filename: good };
        await client.execute('blockdev-add', node, { timeoutMs: 5000 });
        await client.execute('blockdev-del', { 'node-name': 'n' }, { timeoutMs: 5000 });
        await revive(file);
        closeSync(fd);
      }),
    ));

  test('stops nobody where no command has taken it, nor when its sender hangs up', () =>
    withFuse((file) =>
      withDaemon(folder, async (daemon) => {
        const fd = openSync(file.path, 'r+');
        const client = await QmpConnection.open(daemon.qmp);
        await client.read(1);
        client.send('{"execute": "qmp_capabilities"}');
        await client.read(1);
        await die(file);
        for (let index = 0; index < 5; index++) {
          client.send('{"execute": "query-version"}', [fd, fd]);
          await client.read(1);
        }
        client.close();
        const other = await daemon.client(2);
        await other.execute('query-version', undefined, { timeoutMs: 5000 });
        await (await daemon.client()).execute('query-version', undefined, { timeoutMs: 5000 });
        await revive(file);
        closeSync(fd);
      }),
    ));

  test('does not keep the main thread from ending by quit', () =>
    withFuse(async (file) => {
      const daemon = await DaemonUnderTest.start(folder);
      try {
        const client = await daemon.client();
        await addFd(client, 1, file.path);
        await die(file);
        await client.execute('remove-fd', { 'fdset-id': 1 }, { timeoutMs: 10_000 });
        await client.execute('quit', undefined, { timeoutMs: 10_000 });
        await daemon.untilEnded();
      } finally {
        await daemon.leave();
        await revive(file);
        await daemon.process.end('SIGKILL');
      }
    }));
});

async function untilGone(client: QmpClient, id: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await client.execute('query-block-exports', undefined, { timeoutMs: 5000 });
    if (!(answer as { id: string }[]).some((each) => each.id === id)) return;
    await sleep(100);
  }
  throw new Error(`export ${id} is still there after 10 s`);
}
