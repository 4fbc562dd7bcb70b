// Do reads, writes, zeros, discards and flushes of a backend reach the file as they should?
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { BlockGraph, openPath, type BlockBackend, type BlockdevOptions } from '../../src/block/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;
let image: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-backend-'));
  image = join(dir, 'image');
});

after(() => rmSync(dir, { recursive: true }));

/** Runs with a backend of a file that holds `bytes`, then checks that nothing is in flight. */
async function withImage(
  bytes: Buffer,
  options: Partial<BlockdevOptions>,
  run: (backend: BlockBackend) => Promise<void>,
): Promise<void> {
  writeFileSync(image, bytes);
  await withNode({ driver: 'file', filename: image, ...options }, run);
}

async function withNode(options: BlockdevOptions, run: (backend: BlockBackend) => Promise<void>): Promise<void> {
  const graph = new BlockGraph({ openFile: openPath });
  await graph.blockdevAdd({ ...options, 'node-name': 'n' });
  const backend = await graph.attach('n', { writable: options['read-only'] !== true });
  try {
    await run(backend);
    assert.equal(backend.inFlight, 0);
  } finally {
    await backend.detach();
    await graph.blockdevDel('n');
  }
}

async function read(backend: BlockBackend, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length, 0xee);
  await backend.read(offset, buffer);
  return buffer;
}

const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251));

for (const cache of [{ direct: false }, { direct: true }]) {
  const how = cache.direct ? 'with O_DIRECT' : 'through the page cache';

  describe(`a file ${how}`, () => {
    test('reads and writes at any offset and length', () =>
      withImage(pattern(20 * 512), { cache }, async (backend) => {
        const expected = pattern(20 * 512);
        for (const [offset, length] of [
          [0, 512],
          [1, 1],
          [511, 2],
          [100, 5000],
          [4096, 4096],
          [10239, 1],
          [7, 0],
        ]) {
          assert.ok(offset !== undefined && length !== undefined);
          const data = Buffer.alloc(length, offset + 1);
          await backend.write(offset, data);
          data.copy(expected, offset);
          assert.deepEqual(await read(backend, offset, length), data);
        }
        assert.deepEqual(await read(backend, 0, expected.length), expected);
        await backend.flush();
        assert.deepEqual(readFileSync(image), expected);
      }));

    test('writes that share a block do not undo each other', () =>
      withImage(Buffer.alloc(4096), { cache }, async (backend) => {
        await Promise.all(
          pattern(4096).reduce<Promise<void>[]>((writes, byte, offset) => {
            if (offset % 64 === 0) writes.push(backend.write(offset, Buffer.alloc(64, byte)));
            return writes;
          }, []),
        );
        const expected = Buffer.alloc(4096);
        for (let offset = 0; offset < 4096; offset += 64) expected.fill(offset % 251, offset, offset + 64);
        assert.deepEqual(readFileSync(image), expected);
      }));

    test('the last sector reads as zeros behind the end of the file, and a write there keeps to the node', () =>
      withImage(Buffer.alloc(1000, 1), { cache }, async (backend) => {
        assert.equal(backend.length, 1024);
        assert.deepEqual(await read(backend, 990, 34), Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(24)]));
        await backend.write(1020, Buffer.alloc(4, 2));
        const expected = Buffer.concat([Buffer.alloc(1000, 1), Buffer.alloc(20), Buffer.alloc(4, 2)]);
        assert.deepEqual(readFileSync(image), expected);
      }));

    test('ranges outside the node are EINVAL, whatever is asked', () =>
      withImage(Buffer.alloc(1024), { cache }, async (backend) => {
        const einval = { errnoName: 'EINVAL' };
        const one = Buffer.alloc(1);
        await assert.rejects(backend.read(1024, one), einval);
        await assert.rejects(backend.read(-1, one), einval);
        await assert.rejects(backend.read(0.5, one), einval);
        await assert.rejects(backend.read(Number.MAX_SAFE_INTEGER, one), einval);
        await assert.rejects(backend.read(0, Buffer.alloc(1025)), einval);
        await assert.rejects(backend.write(1024, one), einval);
        await assert.rejects(backend.writeZeroes(1000, 25), einval);
        await assert.rejects(backend.discard(0, 1025), einval);
        await assert.rejects(backend.discard(0, -1), einval);
        await assert.rejects(backend.blockStatus(1023, 2), einval);
        await backend.read(1024, Buffer.alloc(0));
        assert.equal(statSync(image).size, 1024);
      }));

    test('zeros are written, with space given back or kept', () =>
      withImage(Buffer.alloc(64 * 1024, 1), { cache, discard: 'unmap' }, async (backend) => {
        await backend.writeZeroes(100, 200);
        await backend.writeZeroes(4096, 8192, { fua: true, fast: true });
        assert.equal(statSync(image).blocks, 128);
        await backend.writeZeroes(16384, 16384, { mayUnmap: true });
        assert.equal(statSync(image).blocks, 96);
        const expected = Buffer.alloc(64 * 1024, 1)
          .fill(0, 100, 300)
          .fill(0, 4096, 12288)
          .fill(0, 16384, 32768);
        assert.deepEqual(readFileSync(image), expected);
        assert.equal(statSync(image).size, 64 * 1024);
      }));

    test('a discard gives space back only where the node lets it through', async () => {
      await withImage(Buffer.alloc(8192, 1), { cache, discard: 'unmap' }, (backend) => backend.discard(0, 4096));
      assert.equal(statSync(image).blocks, 8);
      await withImage(Buffer.alloc(8192, 1), { cache }, async (backend) => {
        await backend.discard(0, 4096);
        await backend.writeZeroes(4096, 4096, { mayUnmap: true });
      });
      assert.equal(statSync(image).blocks, 16);
    });
  });
}

describe('a file', () => {
  test('that somebody makes shorter reads as zeros there', () =>
    withImage(Buffer.alloc(8192, 1), {}, async (backend) => {
      truncateSync(image, 100);
      assert.deepEqual(await read(backend, 0, 8192), Buffer.alloc(8192).fill(1, 0, 100));
    }));

  test('attached for reading only is not changed', () =>
    withImage(Buffer.alloc(512), { 'read-only': true }, async (backend) => {
      const eperm = { errnoName: 'EPERM' };
      assert.equal(backend.readOnly, true);
      await assert.rejects(backend.write(0, Buffer.alloc(1)), eperm);
      await assert.rejects(backend.writeZeroes(0, 1), eperm);
      await assert.rejects(backend.discard(0, 1), eperm);
    }));

  test('tells its limits: any alignment, 32 MiB', () =>
    withImage(Buffer.alloc(512), {}, async (backend) => {
      assert.deepEqual(backend.limits, { requestAlignment: 1, optimalTransfer: 4096, maxTransfer: 32 * 1024 * 1024 });
    }));

  test('with O_DIRECT tells what that wants aligned', () =>
    withImage(Buffer.alloc(512), { cache: { direct: true } }, async (backend) => {
      assert.ok([512, 4096].includes(backend.limits.requestAlignment));
    }));

  test('writes more than 2 MiB at once, and reads them back', () =>
    withImage(Buffer.alloc(4 * 1024 * 1024), {}, async (backend) => {
      const data = pattern(3 * 1024 * 1024 + 5);
      await backend.write(77, data, { fua: true });
      assert.ok((await read(backend, 77, data.length)).equals(data));
    }));

  test('takes zeros for a write-zeroes where detect-zeroes says so', async () => {
    const sparse = { discard: 'unmap', 'detect-zeroes': 'unmap' } as const;
    const write = (backend: BlockBackend): Promise<void> => backend.write(0, Buffer.alloc(4096));
    await withImage(Buffer.alloc(8192, 1), sparse, write);
    assert.equal(statSync(image).blocks, 8);
    await withImage(Buffer.alloc(8192, 1), { discard: 'unmap', 'detect-zeroes': 'on' }, write);
    assert.equal(statSync(image).blocks, 16);
    await withImage(Buffer.alloc(8192, 1), { discard: 'unmap' }, write);
    assert.equal(statSync(image).blocks, 16);
    assert.deepEqual(readFileSync(image), Buffer.alloc(8192).fill(1, 4096));
  });
});

describe('block status', () => {
  const hole = (length: number): object => ({ length, hole: true, zero: true });
  const data = (length: number): object => ({ length, hole: false, zero: false });

  test('of a sparse file is its data and holes', async () => {
    writeFileSync(image, Buffer.alloc(4096, 1));
    truncateSync(image, 64 * 1024);
    await withNode({ driver: 'file', filename: image }, async (backend) => {
      await backend.write(32768, Buffer.alloc(4096, 1));
      const all = [data(4096), hole(28672), data(4096), hole(28672)];
      assert.deepEqual(await backend.blockStatus(0, 65536), all);
      assert.deepEqual(await backend.blockStatus(100, 10), [data(10)]);
      assert.deepEqual(await backend.blockStatus(4000, 200), [data(96), hole(104)]);
      assert.deepEqual(await backend.blockStatus(0, 65536, { maxExtents: 1 }), [data(4096)]);
      assert.deepEqual(await backend.blockStatus(5000, 60000, { maxExtents: 2 }), [hole(27768), data(4096)]);
      assert.deepEqual(await backend.blockStatus(0, 0), []);
    });
  });

  test('of the last sector is data as far as the file reaches into it', async () => {
    await withImage(Buffer.alloc(1000, 1), {}, async (backend) => {
      assert.deepEqual(await backend.blockStatus(0, 1024), [data(1024)]);
    });
    writeFileSync(image, '');
    truncateSync(image, 1000);
    await withNode({ driver: 'file', filename: image }, async (backend) => {
      assert.deepEqual(await backend.blockStatus(0, 1024), [hole(1024)]);
    });
  });

  test('of a raw window is that of the file there, and a hole behind its end', async () => {
    await withImage(Buffer.alloc(1000, 1), {}, async () => {
      await withNode({ driver: 'raw', offset: 500, file: { driver: 'file', filename: image } }, async (backend) => {
        assert.deepEqual(await backend.blockStatus(0, 1024), [data(524), hole(500)]);
      });
    });
  });

  test('of null-co is a hole, zeros only with read-zeroes', async () => {
    await withNode({ driver: 'null-co', size: 1024 }, async (backend) => {
      assert.deepEqual(await backend.blockStatus(0, 1024), [{ length: 1024, hole: true, zero: false }]);
    });
    await withNode({ driver: 'null-co', size: 1024, 'read-zeroes': true }, async (backend) => {
      assert.deepEqual(await backend.blockStatus(0, 1024), [hole(1024)]);
    });
  });
});

describe('null-co', () => {
  test('forgets what is written and reads as zeros, never as old memory', () =>
    withNode({ driver: 'null-co', 'latency-ns': 1000 }, async (backend) => {
      assert.equal(backend.length, 1024 ** 3);
      await backend.write(0, Buffer.alloc(10, 1), { fua: true });
      await backend.writeZeroes(0, 10);
      await backend.discard(0, 10);
      await backend.flush();
      assert.deepEqual(await read(backend, 0, 10), Buffer.alloc(10));
    }));
});

describe('a detached backend', () => {
  test('refuses everything, and detaches once', async () => {
    writeFileSync(image, Buffer.alloc(512));
    const graph = new BlockGraph({ openFile: openPath });
    await graph.blockdevAdd({ driver: 'file', 'node-name': 'n', filename: image });
    const backend = await graph.attach('n', { writable: true });
    const write = backend.write(0, Buffer.alloc(512, 1));
    const detaching = backend.detach();
    assert.equal(backend.detach(), detaching);
    await assert.rejects(backend.read(0, Buffer.alloc(1)), { errno: 108 });
    await Promise.all([write, detaching]);
    await assert.rejects(backend.flush(), { errno: 108 });
    await graph.blockdevDel('n');
    assert.deepEqual(readFileSync(image), Buffer.alloc(512, 1));
  });
});
