// x-query-fds, x-fdset-events and the warning of shared descriptions, as a user of the daemon meets them.
import assert from 'node:assert/strict';
import { closeSync, openSync, realpathSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { landlockAbi, seccompAvailable } from '../../src/addon/index.ts';
import { type EventStream, QmpClient } from '../../src/client/index.ts';
import type { JsonOutput } from '../../src/json/index.ts';
import { FdsetProcess } from '../cli/fdset-process.ts';
import { FuseFile, fuseSkipReason } from '../fuse-file.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { withDaemon } from './daemon-under-test.ts';

checkOpenFds();

const folder = realpathSync(temporaryFolder());
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));

interface Ledger {
  'fdset-id': number;
  fds: { [name: string]: unknown; fd: number; path?: string; 'added-by'?: Record<string, unknown> }[];
  dups: { [name: string]: unknown; fd: number; 'shared-with': string[] }[];
}

async function ledger(client: QmpClient): Promise<Ledger[]> {
  return (await client.execute('x-query-fds', undefined, { timeoutMs: 5000 })) as Ledger[];
}

async function addFd(
  client: QmpClient,
  path: string,
  flags: string,
  args: Record<string, JsonOutput>,
): Promise<number> {
  const fd = openSync(path, flags);
  const reply = (await client.execute('add-fd', args, { fds: [fd] })) as { fd: number };
  closeSync(fd);
  return reply.fd;
}

/** Events since the last call, as `NAME {data}`. */
function take(events: EventStream): [string, unknown][] {
  return events.takeBuffered().map(({ name, data }) => [name, data]);
}

test('x-query-fds tells of each fd what it is, from whom, and who uses it', () =>
  withDaemon(folder, async (daemon) => {
    const client = await daemon.client();
    const before = Date.now();
    const fd = await addFd(client, image, 'r+', { 'fdset-id': 3, opaque: 'disk' });
    await daemon.startNbd(client);
    await client.execute('blockdev-add', { driver: 'file', 'node-name': 'f', filename: '/dev/fdset/3' });
    await client.execute('blockdev-add', { driver: 'raw', 'node-name': 'r', file: 'f' });
    await client.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'r', writable: true });
    const { ino } = statSync(image);
    const [set, ...others] = await ledger(client);
    assert.deepEqual(others, []);
    const [member] = set!.fds;
    const { added, device, ...facts } = member!;
    assert.match(String(device), /^\d+:\d+$/);
    const { seconds } = added as { seconds: number };
    assert.ok(seconds >= Math.floor(before / 1000) && seconds <= Date.now() / 1000);
    const { command, ...origin } = facts['added-by'] ?? {};
    assert.equal(typeof command, 'string');
    assert.deepEqual(origin, { monitor: 'a', pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    assert.deepEqual(
      { ...facts, 'added-by': undefined },
      {
        fd,
        access: 'read-write',
        flags: [],
        type: 'regular',
        inode: ino,
        size: 65_536,
        path: image,
        opaque: 'disk',
        'added-by': undefined,
      },
    );
    const [dup] = set!.dups;
    const { opened, fd: dupFd, device: _, ...dupFacts } = dup!;
    assert.notEqual(dupFd, fd);
    assert.ok((opened as { seconds: number }).seconds >= seconds);
    assert.deepEqual(dupFacts, {
      access: 'read-write',
      flags: [],
      type: 'regular',
      inode: ino,
      size: 65_536,
      path: image,
      member: fd,
      holder: "block node 'f'",
      exports: ['e'],
      filename: '/dev/fdset/3',
      'shared-with': [],
    });
    await client.execute('remove-fd', { 'fdset-id': 3 });
    const [left] = await ledger(client);
    assert.deepEqual([left!.fds, left!.dups.length, 'member' in left!.dups[0]!], [[], 1, false]);
    await client.execute('block-export-del', { id: 'e' });
    await client.execute('blockdev-del', { 'node-name': 'r' });
    await client.execute('blockdev-del', { 'node-name': 'f' });
    await client.execute('nbd-server-stop');
    assert.deepEqual(await ledger(client), []);
  }));

test('access modes, flags, other kinds of file and deleted ones are told', () =>
  withDaemon(folder, async (daemon) => {
    const client = await daemon.client();
    const gone = join(folder, 'gone');
    writeFileSync(gone, '');
    await addFd(client, gone, 'a', { 'fdset-id': 2 });
    unlinkSync(gone);
    await addFd(client, '/dev/null', 'r', { 'fdset-id': 1 });
    const [two, one] = await ledger(client);
    const { access, flags, path } = two!.fds[0]!;
    assert.deepEqual({ access, flags, path }, { access: 'write-only', flags: ['O_APPEND'], path: `${gone} (deleted)` });
    const nullDevice = one!.fds[0]!;
    assert.deepEqual([nullDevice['type'], nullDevice['access']], ['character', 'read-only']);
    assert.equal('size' in nullDevice, false);
    await client.execute('remove-fd', { 'fdset-id': 1 });
    await client.execute('remove-fd', { 'fdset-id': 2 });
  }));

test('changes are told to sessions that asked, and to no others', () =>
  withDaemon(folder, async (daemon) => {
    const [asking, other] = [await daemon.client(1), await daemon.client(2)];
    const [askingEvents, otherEvents] = [asking.events(), other.events()];
    await asking.execute('x-fdset-events', { enable: true });
    const fd = await addFd(other, image, 'r', { 'fdset-id': 1, opaque: 'o' });
    const node = { driver: 'file', 'node-name': 'n', filename: '/dev/fdset/1', 'read-only': true };
    await other.execute('blockdev-add', node);
    await other.execute('blockdev-del', { 'node-name': 'n' });
    await other.execute('remove-fd', { 'fdset-id': 1, fd });
    await asking.execute('query-fdsets');
    const [added, opened, closed, removed, ...more] = take(askingEvents);
    const data = added![1] as { 'added-by': { monitor: string } };
    assert.equal(data['added-by'].monitor, 'b');
    assert.deepEqual(
      [added![0], { ...data, 'added-by': 0 }],
      ['X_FDSET_FD_ADDED', { 'fdset-id': 1, fd, opaque: 'o', 'added-by': 0 }],
    );
    const dup = (opened![1] as { fd: number }).fd;
    const where = { 'fdset-id': 1, fd: dup, holder: "block node 'n'", filename: '/dev/fdset/1' };
    assert.deepEqual(
      [opened, closed],
      [
        ['X_FDSET_DUP_OPENED', { ...where, member: fd }],
        ['X_FDSET_DUP_CLOSED', where],
      ],
    );
    assert.deepEqual(removed, ['X_FDSET_FD_REMOVED', { 'fdset-id': 1, fd, opaque: 'o' }]);
    assert.deepEqual([more, take(otherEvents)], [[], []]);
    await asking.execute('x-fdset-events', { enable: false });
    await addFd(other, image, 'r', { 'fdset-id': 1 });
    await other.execute('remove-fd', { 'fdset-id': 1 });
    await asking.execute('query-fdsets');
    assert.deepEqual(take(askingEvents), []);
  }));

test('a session that comes after one that asked has asked for nothing', () =>
  withDaemon(folder, async (daemon) => {
    const asking = await daemon.client();
    await asking.execute('x-fdset-events', { enable: true });
    await asking.close();
    const next = await daemon.client();
    const nextEvents = next.events();
    await addFd(next, image, 'r', { 'fdset-id': 1 });
    await next.execute('remove-fd', { 'fdset-id': 1 });
    assert.deepEqual(take(nextEvents), []);
  }));

/** A daemon of its own with a client of it; killed at the end, should the test have failed. */
async function withWarningDaemon(
  options: readonly string[],
  run: (daemon: FdsetProcess, client: QmpClient) => Promise<void>,
): Promise<void> {
  const socket = join(folder, `warns${options.length}.sock`);
  const chardev = `socket,id=c,path=${socket},server=on,wait=off`;
  const daemon = new FdsetProcess('storage-daemon', ...options, '--chardev', chardev, '--monitor', 'c');
  try {
    await daemon.untilFile(socket);
    await sleep(50); // bound, and about to listen
    await run(daemon, await QmpClient.connect(socket, { timeoutMs: 20_000 }));
  } finally {
    await daemon.end('SIGTERM');
  }
}

const unboxed = (landlockAbi() < 3 || !seccompAvailable()) && 'needs Landlock ABI 3 and seccomp';
for (const [name, options, skip] of [
  ['a daemon', [], false],
  ['a sandboxed daemon', ['--sandbox', 'on'], unboxed],
] as const) {
  test(`${name} warns of two nodes that write through one open file description`, { skip }, () =>
    withWarningDaemon(options, async (daemon, client) => {
      const clientEvents = client.events();
      await client.execute('x-fdset-events', { enable: true });
      await addFd(client, image, 'r+', { 'fdset-id': 1 });
      for (const nodeName of ['a', 'b']) {
        await client.execute('blockdev-add', { driver: 'file', 'node-name': nodeName, filename: '/dev/fdset/1' });
      }
      const shared = take(clientEvents).filter(([event]) => event === 'X_FDSET_DESCRIPTION_SHARED');
      assert.equal(shared.length, 1);
      const { fd: _, ...data } = shared[0]![1] as { fd: number };
      assert.deepEqual(data, {
        'fdset-id': 1,
        holder: "block node 'b'",
        filename: '/dev/fdset/1',
        'shared-with': [{ holder: "block node 'a'", filename: '/dev/fdset/1' }],
      });
      const [set] = await ledger(client);
      assert.deepEqual(
        set!.dups.map((dup) => dup['shared-with']),
        [["block node 'b'"], ["block node 'a'"]],
      );
      assert.equal(set!.fds[0]!.path, image);
      await client.close();
      const warning =
        "fdset-storage-daemon: warning: block node 'b' (/dev/fdset/1) writes through the same open file description as " +
        "block node 'a' (/dev/fdset/1): image locks cannot keep them apart\n";
      for (let tries = 0; tries < 250 && !daemon.stderr.includes(warning); tries++) await sleep(20);
      const { code, stderr } = await daemon.end('SIGTERM');
      assert.equal(code, 0, stderr);
      assert.ok(stderr.includes(warning), stderr);
    }),
  );
}

test('a file whose server hangs does not keep x-query-fds waiting', { skip: fuseSkipReason() }, async () => {
  const file = await FuseFile.mount(1 << 20);
  try {
    await withDaemon(folder, async (daemon) => {
      const client = await daemon.client();
      await addFd(client, file.path, 'r+', { 'fdset-id': 1 });
      statSync(file.path); // what is told is what the kernel has heard last
      await file.set('getattr', 'hang');
      const [set] = await ledger(client);
      assert.deepEqual([set!.fds[0]!.path, set!.fds[0]!['size']], [file.path, 1 << 20]);
      await file.set('getattr', 'ok');
      await file.release();
      await client.execute('remove-fd', { 'fdset-id': 1 });
    });
  } finally {
    await file.close();
  }
});
