// Do nodes keep others off their images, and only for as long as they have users?
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { dupFd, ofdLock, ofdTestLock } from '../../src/addon/index.ts';
import { HeldFile } from '../../src/block/held-file.ts';
import { ImageLocks } from '../../src/block/image-locks.ts';
import { allPermissions, BlockGraph, openPath, Permission, type OpenFile } from '../../src/block/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;
let image: string;
let other: number;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-locks-'));
  image = join(dir, 'image');
  writeFileSync(image, Buffer.alloc(4096));
});

after(() => rmSync(dir, { recursive: true }));

beforeEach(() => {
  other = openSync(image, 'r+');
});

afterEach(() => closeSync(other));

async function withGraph(openFile: OpenFile, run: (graph: BlockGraph) => Promise<void>): Promise<void> {
  const graph = new BlockGraph({ openFile });
  try {
    await run(graph);
  } finally {
    await graph.close();
  }
}

/** The bytes that somebody else than `other` has locked. */
async function lockedBytes(): Promise<number[]> {
  const locked: number[] = [];
  for (const base of [100, 200]) {
    for (let byte = base; byte < base + 4; byte++) if (await ofdTestLock(other, 'write', byte, 1)) locked.push(byte);
  }
  return locked;
}

const node = { driver: 'file', 'node-name': 'n' } as const;

describe('the locks of a node', () => {
  test('come with its users and go with them', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      assert.deepEqual(await lockedBytes(), []);
      const reader = await graph.attach('n', { writable: false });
      assert.deepEqual(await lockedBytes(), [100, 203]);
      const writer = await graph.attach('n', { writable: true });
      assert.deepEqual(await lockedBytes(), [100, 101, 203]);
      await writer.detach();
      assert.deepEqual(await lockedBytes(), [100, 203]);
      await reader.detach();
      assert.deepEqual(await lockedBytes(), []);
    }));

  test('are there for a raw window without users, too: the file must not shrink', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', offset: 512, file: 'n' });
      assert.deepEqual(await lockedBytes(), [203]);
      await graph.blockdevDel('r');
      assert.deepEqual(await lockedBytes(), []);
    }));

  test('are off with locking=off', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image, locking: 'off' });
      const backend = await graph.attach('n', { writable: true });
      assert.deepEqual(await lockedBytes(), []);
      await backend.detach();
    }));

  test('share everything with force-share', () =>
    withGraph(openPath, async (graph) => {
      const file = { driver: 'file', filename: image };
      await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', 'read-only': true, 'force-share': true, file });
      const backend = await graph.attach('r', { writable: false });
      assert.deepEqual(await lockedBytes(), [100]);
      await backend.detach();
    }));

  test('follow a file that is reopened for a writer', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image, 'auto-read-only': true });
      const reader = await graph.attach('n', { writable: false });
      const writer = await graph.attach('n', { writable: true });
      assert.deepEqual(await lockedBytes(), [100, 101, 203]);
      await writer.detach();
      assert.deepEqual(await lockedBytes(), [100, 203]);
      await reader.detach();
      assert.deepEqual(await lockedBytes(), []);
    }));
});

describe('somebody else who', () => {
  const cases: [string, number, boolean, string][] = [
    ['does not share writing', 201, true, 'Failed to get "write" lock'],
    ['does not share reading', 200, false, 'Failed to get "consistent read" lock'],
    ['resizes', 103, false, 'Failed to get shared "resize" lock'],
  ];

  for (const [what, byte, writable, message] of cases) {
    test(`${what} keeps a user off, who leaves nothing behind`, () =>
      withGraph(openPath, async (graph) => {
        await graph.blockdevAdd({ ...node, filename: image });
        await ofdLock(other, 'read', byte, 1);
        await assert.rejects(graph.attach('n', { writable }), { message });
        await ofdLock(other, 'unlock', byte, 1);
        assert.deepEqual(await lockedBytes(), []);
        const backend = await graph.attach('n', { writable });
        await backend.detach();
        await graph.blockdevDel('n');
      }));
  }

  test('does not share writing leaves readers alone', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      await ofdLock(other, 'read', 201, 1);
      const backend = await graph.attach('n', { writable: false });
      await assert.rejects(graph.attach('n', { writable: true }), { message: 'Failed to get "write" lock' });
      assert.deepEqual(await lockedBytes(), [100, 203]);
      await backend.detach();
    }));

  test('keeps a writer off does not keep off a reader who comes at the same time', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      await ofdLock(other, 'read', 201, 1);
      const [writer, reader] = await Promise.allSettled([
        graph.attach('n', { writable: true }),
        graph.attach('n', { writable: false }),
      ]);
      assert.equal(writer.status, 'rejected');
      assert.ok(reader.status === 'fulfilled');
      assert.deepEqual(await lockedBytes(), [100, 203]);
      await reader.value.detach();
    }));

  test('resizes keeps a raw window off', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      await ofdLock(other, 'read', 103, 1);
      await assert.rejects(graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', offset: 512, file: 'n' }), {
        message: 'Failed to get shared "resize" lock',
      });
      assert.deepEqual((await graph.queryNamedBlockNodes()).length, 1);
      await graph.blockdevDel('n');
    }));

  test('has locked a byte for writing keeps everybody off', () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      await ofdLock(other, 'write', 100, 1);
      await assert.rejects(graph.attach('n', { writable: false }), { message: 'Failed to lock byte 100' });
    }));

  test('is QEMU: qemu-img does not write to an image with a writable user of ours', { skip: qemuImgMissing() }, () =>
    withGraph(openPath, async (graph) => {
      await graph.blockdevAdd({ ...node, filename: image });
      const backend = await graph.attach('n', { writable: true });
      // qemu-img resize wants resize, which we do not share.
      const refused = spawnSync('qemu-img', ['resize', '-f', 'raw', image, '8192'], { encoding: 'utf8' });
      assert.match(refused.stderr, /Failed to get "resize" lock/);
      await backend.detach();
      const done = spawnSync('qemu-img', ['resize', '-f', 'raw', image, '8192'], { encoding: 'utf8' });
      assert.equal(done.stderr, '');
    }),
  );
});

test('locks that conflict are not kept', async () => {
  const fd = openSync(image, 'r');
  const file = new HeldFile({ fd, close: () => closeSync(fd) });
  const locks = new ImageLocks(file);
  await locks.acquire({ permissions: Permission.consistentRead, shared: allPermissions });
  await ofdLock(other, 'read', 201, 1);
  await assert.rejects(locks.acquire({ permissions: Permission.write, shared: allPermissions & ~Permission.resize }));
  assert.deepEqual(await lockedBytes(), [100]);
  await locks.release();
  assert.deepEqual(await lockedBytes(), []);
  file.retire();
});

describe('nodes on one open file description', () => {
  test('never conflict, and keep the locks until the last lets go', async () => {
    const description = {};
    const openFile: OpenFile = async () => {
      const fd = dupFd(shared);
      return { fd, description, close: () => closeSync(fd) };
    };
    const shared = openSync(image, 'r+');
    try {
      await withGraph(openFile, async (graph) => {
        await graph.blockdevAdd({ ...node, 'node-name': 'a', filename: '/dev/fdset/1' });
        await graph.blockdevAdd({ ...node, 'node-name': 'b', filename: '/dev/fdset/1' });
        const alone = await graph.attach('a', { writable: true, shared: 1 });
        const beside = await graph.attach('b', { writable: true });
        assert.deepEqual(await lockedBytes(), [100, 101, 201, 202, 203]);
        await alone.detach();
        assert.deepEqual(await lockedBytes(), [100, 101, 203]);
        await beside.detach();
        assert.deepEqual(await lockedBytes(), []);
      });
    } finally {
      closeSync(shared);
    }
  });
});

function qemuImgMissing(): string | false {
  return spawnSync('qemu-img', ['--version']).error === undefined ? false : 'needs qemu-img';
}
