// Do nodes on /dev/fdset/N take the right fd of the set, follow their users through it, and give it back?
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { getStatusFlags, O, pipe } from '../../src/addon/index.ts';
import { BlockGraph, fileOpener, type BlockdevOptions } from '../../src/block/index.ts';
import { FdsetTable, OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;
let fdsets: FdsetTable;
let graph: BlockGraph;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-node-'));
  writeFileSync(join(dir, 'small'), Buffer.alloc(1024 * 1024));
  writeFileSync(join(dir, 'large'), Buffer.alloc(2 * 1024 * 1024));
});

after(() => rmSync(dir, { recursive: true }));

beforeEach(() => {
  fdsets = new FdsetTable();
  graph = new BlockGraph({ openFile: fileOpener(fdsets) });
});

afterEach(async () => {
  await graph.close();
  fdsets[Symbol.dispose]();
});

/** Opens a file and adds it to a set; returns the number it has there. */
function addFd(fdsetId: number, flags: number, name = 'small'): number {
  return fdsets.add(OwnedFd.adopt(openSync(join(dir, name), flags)), { fdsetId }).fd;
}

async function add(options: Partial<BlockdevOptions> = {}): Promise<string> {
  try {
    await graph.blockdevAdd({ driver: 'file', 'node-name': 'n', filename: '/dev/fdset/1', ...options });
    return '';
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
}

function dups(): { flags: number; holder: string }[] {
  return fdsets
    .records()
    .flatMap((set) =>
      set.dups.map(({ fd, holder }) => ({ flags: getStatusFlags(fd) & (O.O_ACCMODE | O.O_DIRECT), holder })),
    );
}

const { O_RDONLY, O_WRONLY, O_RDWR, O_DIRECT, O_APPEND, O_SYNC } = O;
const holder = "block node 'n'";

describe('the mode of the node decides which fd serves', () => {
  const none = (flags: string): string => `Failed to find file descriptor with matching flags=0x${flags}`;
  const cases: [number, Partial<BlockdevOptions>, string][] = [
    [O_RDONLY, {}, none('2')],
    [O_RDONLY, { 'read-only': true }, ''],
    [O_RDONLY, { 'auto-read-only': true }, ''],
    [O_WRONLY, {}, none('2')],
    [O_WRONLY, { 'read-only': true }, none('0')],
    [O_RDWR, {}, ''],
    [O_RDWR, { 'read-only': true }, none('0')],
    [O_RDWR, { 'auto-read-only': true }, none('0')],
    [O_RDWR, { cache: { direct: true } }, none('4002')],
    [O_RDWR | O_DIRECT, { cache: { direct: true } }, ''],
    [O_RDWR | O_DIRECT, {}, none('2')],
  ];

  for (const [flags, options, message] of cases) {
    test(`${JSON.stringify(options)} from an fd with flags 0x${flags.toString(16)}: ${message || 'opened'}`, async () => {
      addFd(1, flags);
      assert.equal(await add(options), message);
    });
  }

  test('of several that match the newest', async () => {
    addFd(1, O_RDONLY, 'small');
    addFd(1, O_RDONLY, 'large');
    addFd(1, O_RDWR, 'small');
    assert.equal(await add({ 'read-only': true }), '');
    assert.equal((await graph.queryNamedBlockNodes())[0]?.image['virtual-size'], 2 * 1024 * 1024);
  });
});

describe('a node on a set', () => {
  test('says what is wrong with the set, as QEMU does', async () => {
    assert.equal(await add({ filename: '/dev/fdset/012' }), 'Failed to find fdset /dev/fdset/12');
    assert.equal(await add({ filename: '/dev/fdset/1x' }), 'Could not parse fdset /dev/fdset/1x');
    assert.equal(await add({ filename: '/dev//fdset/1' }), "Could not open '/dev//fdset/1': No such file or directory");
    const fd = addFd(1, O_RDWR | O_SYNC);
    assert.equal(await add(), `Failed to dup() given file descriptor fd=${fd}`);
  });

  test('refuses what is no file, and holds nothing of it', async () => {
    const [readEnd, writeEnd] = pipe();
    fdsets.add(OwnedFd.adopt(readEnd), { fdsetId: 1 });
    fdsets.add(OwnedFd.adopt(writeEnd), { fdsetId: 2 });
    fdsets.add(OwnedFd.adopt(openSync('/dev/null', 'r+')), { fdsetId: 3 });
    const message = (id: number): string => `'file' driver requires '/dev/fdset/${id}' to be a regular file`;
    assert.equal(await add({ 'read-only': true }), message(1));
    assert.equal(await add({ filename: '/dev/fdset/3' }), message(3));
    assert.deepEqual(dups(), []);
    assert.equal(await add({ filename: '/dev/fdset/3', driver: 'host_device' }), '');
  });

  test('shows the name it was given, and clears what it did not ask for on the description', async () => {
    const fd = addFd(1, O_RDWR | O_APPEND);
    assert.equal(await add({ filename: '/dev/fdset/ +01' }), '');
    assert.equal((await graph.queryNamedBlockNodes())[0]?.file, '/dev/fdset/ +01');
    assert.equal(getStatusFlags(fd) & O_APPEND, 0);
  });

  test('keeps a set alive whose fds are removed, and ends it when it is deleted', async () => {
    addFd(1, O_RDWR);
    await add();
    void fdsets.remove(1);
    assert.deepEqual(fdsets.query(), [{ 'fdset-id': 1, fds: [] }]);
    await graph.blockdevDel('n');
    assert.deepEqual(fdsets.query(), []);
  });

  test('is in the ledger with its name', async () => {
    addFd(1, O_RDWR);
    await add();
    assert.deepEqual(dups(), [{ flags: O_RDWR, holder }]);
  });
});

describe('auto-read-only on a set', () => {
  const auto = { 'auto-read-only': true };

  test('picks another fd when a writer comes and goes', async () => {
    addFd(1, O_RDONLY);
    addFd(1, O_RDWR);
    await add(auto);
    assert.deepEqual(dups(), [{ flags: O_RDONLY, holder }]);
    const backend = await graph.attach('n', { writable: true });
    assert.deepEqual(dups(), [{ flags: O_RDWR, holder }]);
    await backend.write(0, Buffer.from('x'));
    await backend.detach();
    assert.deepEqual(dups(), [{ flags: O_RDONLY, holder }]);
  });

  test('fails a writer where the set has nothing for it, now or any more', async () => {
    const message = 'Failed to find file descriptor with matching flags=0x2';
    addFd(1, O_RDONLY);
    await add(auto);
    await assert.rejects(graph.attach('n', { writable: true }), { message });
    addFd(1, O_RDWR);
    await (await graph.attach('n', { writable: true })).detach();
    void fdsets.remove(1);
    await assert.rejects(graph.attach('n', { writable: true }), { message });
    const reader = await graph.attach('n', { writable: false });
    await reader.read(0, Buffer.alloc(4));
    await reader.detach();
  });

  test('stays writable where there is no way back', async () => {
    const readOnly = addFd(1, O_RDONLY);
    addFd(1, O_RDWR);
    await add(auto);
    const first = await graph.attach('n', { writable: true });
    void fdsets.remove(1, readOnly);
    await first.detach();
    assert.deepEqual(dups(), [{ flags: O_RDWR, holder }]);
    const second = await graph.attach('n', { writable: true });
    await second.write(0, Buffer.alloc(512, 1));
    await second.detach();
  });
});

describe('image locks of nodes on sets', () => {
  test('are shared by the dups of one fd, and conflict with another fd of the file', async () => {
    addFd(1, O_RDWR);
    addFd(2, O_RDWR);
    await add({ 'node-name': 'a' });
    await add({ 'node-name': 'b' });
    await add({ 'node-name': 'c', filename: '/dev/fdset/2' });
    await add({ 'node-name': 'd', filename: join(dir, 'small') });
    const shared = 1; // consistent read only, as a format node
    const alone = await graph.attach('a', { writable: true, shared });
    const beside = await graph.attach('b', { writable: true, shared });
    for (const name of ['c', 'd']) {
      const message = 'Failed to get "write" lock';
      await assert.rejects(graph.attach(name, { writable: true, shared }), { message });
    }
    await alone.detach();
    await assert.rejects(graph.attach('c', { writable: true, shared }), { message: 'Failed to get "write" lock' });
    await beside.detach();
    await (await graph.attach('c', { writable: true, shared })).detach();
  });

  test('are not left on an fd of the set that the node has left', async () => {
    addFd(1, O_RDONLY);
    addFd(1, O_RDWR);
    await add({ 'auto-read-only': true });
    await add({ 'node-name': 'other', filename: join(dir, 'small') });
    const writer = await graph.attach('n', { writable: true });
    await writer.detach();
    await graph.blockResize(undefined, 'other', 1024 * 1024);
  });
});
