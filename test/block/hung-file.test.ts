// Does a file that never answers hold up nothing but itself?
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { BlockGraph, openPath, type BlockBackend, type BlockLimits } from '../../src/block/index.ts';
import { FuseFile, fuseSkipReason } from '../fuse-file.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';

checkOpenFds();

/** Opens get a second: on a busy machine one that is served takes its time, too. */
const impatient: Partial<BlockLimits> = {
  openTimeoutMs: 1000,
  drainTimeoutMs: 50,
  closeTimeoutMs: 50,
  queryTimeoutMs: 50,
};
const size = 64 * 1024;

/** Runs with a FUSE file and a graph; the file is served again before anything is cleaned up. */
async function withFuse(
  limits: Partial<BlockLimits>,
  run: (file: FuseFile, graph: BlockGraph) => Promise<void>,
): Promise<void> {
  const file = await FuseFile.mount(size);
  const graph = new BlockGraph({ openFile: openPath, limits });
  try {
    await run(file, graph);
  } finally {
    for (const operation of ['open', 'getattr', 'read', 'write', 'fsync'] as const) await file.set(operation, 'ok');
    await file.release();
    await graph.close();
    await untilClosed(file.path);
    await file.close();
  }
}

/** Waits until this process has no fd on `path` any more. */
async function untilClosed(path: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while ([...openFds().values()].includes(path)) {
    if (Date.now() > deadline) throw new Error(`${path} is still open after 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const node = (file: FuseFile): { driver: string; 'node-name': string; filename: string } => ({
  driver: 'file',
  'node-name': 'n',
  filename: file.path,
});

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([settled, new Promise<false>((resolve) => setTimeout(resolve, 20, false))]);
}

describe('opening', () => {
  test('a FIFO without a writer gives up, and closes the fd when a writer comes', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fdset-fifo-'));
    const fifo = join(dir, 'fifo');
    spawnSync('mkfifo', [fifo]);
    const graph = new BlockGraph({ openFile: openPath, limits: { openTimeoutMs: 50 } });
    const options = { driver: 'file', 'node-name': 'n', filename: fifo, 'read-only': true };
    await assert.rejects(graph.blockdevAdd(options), {
      message: `Could not open '${fifo}': no answer within 0.05 s`,
      code: 'ERR_FDSET_NO_ANSWER',
    });
    assert.deepEqual(await graph.queryNamedBlockNodes(), []);
    closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
    await untilClosed(fifo);
    rmSync(dir, { recursive: true });
  });

  test('no further file is opened once too much hangs, until something comes back', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fdset-fifo-'));
    const fifo = join(dir, 'fifo');
    spawnSync('mkfifo', [fifo]);
    const graph = new BlockGraph({ openFile: openPath, limits: { openTimeoutMs: 20, hungOperations: 2 } });
    const options = { driver: 'file', 'node-name': 'n', filename: fifo, 'read-only': true };
    await assert.rejects(graph.blockdevAdd(options), { code: 'ERR_FDSET_NO_ANSWER' });
    await assert.rejects(graph.blockdevAdd(options), { code: 'ERR_FDSET_NO_ANSWER' });
    await assert.rejects(graph.blockdevAdd(options), {
      message: `Could not open '${fifo}': 2 operations already wait for files that do not answer`,
    });
    closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
    await untilClosed(fifo);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await assert.rejects(graph.blockdevAdd(options), { code: 'ERR_FDSET_NO_ANSWER' });
    closeSync(openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
    await untilClosed(fifo);
    rmSync(dir, { recursive: true });
  });
});

describe('a FUSE file', { skip: fuseSkipReason() }, () => {
  for (const operation of ['open', 'getattr'] as const) {
    test(`that hangs in ${operation} is given up when it is opened, and closed later`, () =>
      withFuse(impatient, async (file, graph) => {
        await file.set(operation, 'hang');
        await assert.rejects(graph.blockdevAdd(node(file)), { code: 'ERR_FDSET_NO_ANSWER' });
        await file.set(operation, 'ok');
        await file.release();
        await untilClosed(file.path);
        await graph.blockdevAdd(node(file));
        await graph.blockdevDel('n');
      }));
  }

  test('that hangs in getattr is listed with the size it had, or with none', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      await file.set('getattr', 'hang');
      const [before] = await graph.queryNamedBlockNodes();
      assert.equal(before?.image['actual-size'], undefined);
      assert.equal(before?.image['virtual-size'], size);
      await file.set('getattr', 'ok');
      await file.release();
      const [served] = await graph.queryNamedBlockNodes();
      assert.equal(served?.image['actual-size'], size);
      await file.set('getattr', 'hang');
      const [hung] = await graph.queryNamedBlockNodes();
      assert.equal(hung?.image['actual-size'], size);
    }));

  test('holds 16 requests and no more; the rest wait in the node', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: false });
      await file.set('read', 'hang');
      const reads = Array.from({ length: 40 }, (_, index) => backend.read(index * 512, Buffer.alloc(512)));
      await file.untilKept(16);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(await file.kept(), 16);
      assert.equal(backend.inFlight, 40);
      await file.set('read', 'ok');
      await file.release();
      await Promise.all(reads);
      await backend.detach();
    }));

  test('does not hold up another file, nor the commands', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const dead = await graph.attach('n', { writable: false });
      await file.set('read', 'hang');
      const reads = Array.from({ length: 100 }, () => dead.read(0, Buffer.alloc(512)));
      await file.untilKept(16);
      await graph.blockdevAdd({
        driver: 'file',
        'node-name': 'good',
        filename: import.meta.filename,
        'read-only': true,
      });
      const good = await graph.attach('good', { writable: false });
      await good.read(0, Buffer.alloc(512));
      await good.detach();
      await graph.blockdevDel('good');
      await file.set('read', 'ok');
      await file.release();
      await Promise.all(reads);
      await dead.detach();
    }));

  test('is let go of with writes in flight: what waits is refused, what the kernel has keeps it open', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: true });
      await file.set('write', 'hang');
      const writes = Array.from({ length: 20 }, (_, index) => backend.write(index * 512, Buffer.alloc(512, 1)));
      const outcomes = Promise.allSettled(writes);
      await file.untilKept(1); // the others may queue in the kernel
      await backend.detach();
      await assert.rejects(Promise.race(writes.slice(16)), { errnoName: 'ECANCELED' });
      assert.equal(await isSettled(Promise.race(writes.slice(0, 16))), false);
      await graph.blockdevDel('n');
      assert.deepEqual(await graph.queryNamedBlockNodes(), []);
      assert.ok([...openFds().values()].includes(file.path));
      await file.set('write', 'ok');
      await file.release();
      const results = (await outcomes).map((outcome) => outcome.status);
      assert.deepEqual(results, [...Array(16).fill('fulfilled'), ...Array(4).fill('rejected')]);
      await untilClosed(file.path);
    }));

  test('is written to no further by a request whose user has left', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: true });
      await file.set('write', 'hang');
      const write = backend.write(0, Buffer.alloc(5000, 1));
      await file.untilKept(1);
      await backend.detach();
      await file.set('write', 'short 1000');
      const refused = assert.rejects(write, { errnoName: 'ECANCELED' });
      await file.release();
      await refused;
      const reader = await graph.attach('n', { writable: false });
      const bytes = Buffer.alloc(5000);
      await reader.read(0, bytes);
      assert.deepEqual(bytes, Buffer.alloc(5000).fill(1, 0, 1000));
      await reader.detach();
    }));

  test('that hangs in close does not hold up its deletion', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      await file.set('flush', 'hang');
      await graph.blockdevDel('n');
      await file.untilKept(1);
      await file.set('flush', 'ok');
    }));

  test('can be added again beside its dead self', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: false });
      await file.set('read', 'hang');
      const read = backend.read(0, Buffer.alloc(512));
      await file.untilKept(1);
      await backend.detach();
      await graph.blockdevDel('n');
      await graph.blockdevAdd(node(file));
      await graph.blockdevDel('n');
      await file.release();
      await read;
    }));

  test('counts its dead requests against further opens', () =>
    withFuse({ ...impatient, hungOperations: 3 }, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: false });
      await file.set('read', 'hang');
      const reads = [1, 2, 3].map(() => backend.read(0, Buffer.alloc(512)));
      await file.untilKept(3);
      await backend.detach();
      await graph.blockdevDel('n');
      await assert.rejects(graph.blockdevAdd(node(file)), { code: 'ERR_FDSET_TOO_MANY_HUNG' });
      await file.release();
      await Promise.all(reads);
      await untilClosed(file.path);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await graph.blockdevAdd(node(file));
    }));

  test('that hangs while it is reopened for a writer keeps its readers', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd({ ...node(file), 'auto-read-only': true });
      const reader = await graph.attach('n', { writable: false });
      await file.set('open', 'hang');
      await assert.rejects(graph.attach('n', { writable: true }), { code: 'ERR_FDSET_NO_ANSWER' });
      await reader.read(0, Buffer.alloc(512));
      await file.set('open', 'ok');
      await file.release();
      const writer = await graph.attach('n', { writable: true });
      await writer.write(0, Buffer.alloc(512, 1));
      await writer.detach();
      await reader.detach();
    }));

  test('that hangs in fsync keeps its flushes, and one flush serves all who wait', () =>
    withFuse(impatient, async (file, graph) => {
      await graph.blockdevAdd(node(file));
      const backend = await graph.attach('n', { writable: true });
      await backend.write(0, Buffer.alloc(512, 1));
      await file.set('fsync', 'hang');
      const flushes = [1, 2, 3].map(() => backend.flush());
      await file.untilKept(1);
      await file.set('fsync', 'ok');
      assert.equal(await file.kept(), 1);
      await file.release();
      await Promise.all(flushes);
      await backend.detach();
    }));
});

describe('a FUSE file that fails', { skip: fuseSkipReason() }, () => {
  async function withBackend(run: (file: FuseFile, backend: BlockBackend) => Promise<void>): Promise<void> {
    await withFuse({}, async (file, graph) => {
      await graph.blockdevAdd({ ...node(file), discard: 'unmap' });
      const backend = await graph.attach('n', { writable: true });
      await run(file, backend);
      await backend.detach();
    });
  }

  test('to read is EIO to whoever reads', () =>
    withBackend(async (file, backend) => {
      await file.set('read', 'error 5');
      await assert.rejects(backend.read(0, Buffer.alloc(512)), { errnoName: 'EIO', errno: 5 });
      await file.set('read', 'ok');
      await backend.read(0, Buffer.alloc(512));
    }));

  test('to write is ENOSPC to whoever writes', () =>
    withBackend(async (file, backend) => {
      await file.set('write', 'error 28');
      await assert.rejects(backend.write(0, Buffer.alloc(512)), { errnoName: 'ENOSPC' });
      await assert.rejects(backend.writeZeroes(0, 512), { errnoName: 'ENOSPC' });
    }));

  test('with short reads and writes is gone on with', () =>
    withBackend(async (file, backend) => {
      const data = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 256));
      await file.set('write', 'short 1000');
      await backend.write(3, data);
      await file.set('read', 'short 7');
      const back = Buffer.alloc(1000);
      await backend.read(2003, back);
      assert.deepEqual(back, data.subarray(2000, 3000));
    }));

  test('to flush fails every later flush, too: the kernel has forgotten what was lost', () =>
    withBackend(async (file, backend) => {
      await backend.flush();
      await backend.write(0, Buffer.alloc(512, 1));
      await file.set('fsync', 'error 5');
      await assert.rejects(backend.flush(), { errnoName: 'EIO' });
      await file.set('fsync', 'ok');
      await assert.rejects(backend.flush(), { errnoName: 'EIO' });
      await backend.write(0, Buffer.alloc(512, 1));
      await assert.rejects(backend.flush(), { errnoName: 'EIO' });
    }));

  test('to flush is not asked where nothing was written', () =>
    withBackend(async (file, backend) => {
      await file.set('fsync', 'error 5');
      await backend.flush();
      await backend.read(0, Buffer.alloc(512));
      await backend.flush();
    }));

  test('to allocate gets zeros written, unless that must be fast', () =>
    withBackend(async (_file, backend) => {
      await backend.write(0, Buffer.alloc(4096, 1));
      await assert.rejects(backend.writeZeroes(0, 1024, { fast: true }), { errnoName: 'EOPNOTSUPP' });
      await backend.writeZeroes(100, 1024, { mayUnmap: true });
      await backend.discard(2048, 1024);
      const back = Buffer.alloc(4096);
      await backend.read(0, back);
      assert.deepEqual(back, Buffer.alloc(4096, 1).fill(0, 100, 1124));
    }));
});

test('with cache.no-flush a file is never flushed', { skip: fuseSkipReason() }, () =>
  withFuse({}, async (file, graph) => {
    await file.set('fsync', 'error 5');
    await graph.blockdevAdd({ ...node(file), cache: { 'no-flush': true } });
    const backend = await graph.attach('n', { writable: true });
    await backend.write(0, Buffer.alloc(512, 1), { fua: true });
    await backend.flush();
    await backend.detach();
  }),
);
