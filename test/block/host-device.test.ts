// Does a block device work as a node? On a loop device, which takes root.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';

import { BlockGraph, openPath, type BlockBackend, type BlockdevOptions } from '../../src/block/index.ts';
import { loopDeviceSize as size, loopSkipReason, withLoop } from '../loop-device.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

async function withBackend(
  device: string,
  options: Partial<BlockdevOptions>,
  run: (backend: BlockBackend, graph: BlockGraph) => Promise<void>,
): Promise<void> {
  const graph = new BlockGraph({ openFile: openPath });
  await graph.blockdevAdd({ driver: 'host_device', 'node-name': 'h', filename: device, ...options });
  const backend = await graph.attach('h', { writable: true });
  try {
    await run(backend, graph);
  } finally {
    await backend.detach();
    await graph.close();
  }
}

describe('a loop device', { skip: loopSkipReason() }, () => {
  test('is no regular file', () =>
    withLoop(async (device) => {
      const graph = new BlockGraph({ openFile: openPath });
      await assert.rejects(graph.blockdevAdd({ driver: 'file', 'node-name': 'f', filename: device }), {
        message: `'file' driver requires '${device}' to be a regular file`,
      });
    }));

  for (const cache of [{ direct: false }, { direct: true }]) {
    test(`is read and written at any offset, ${JSON.stringify(cache)}`, () =>
      withLoop(async (device, image) => {
        await withBackend(device, { cache }, async (backend) => {
          assert.equal(backend.length, size);
          await backend.write(1000, Buffer.alloc(3000, 0x42), { fua: true });
          const bytes = Buffer.alloc(4096);
          await backend.read(0, bytes);
          assert.deepEqual(bytes, Buffer.alloc(4096, 0x41).fill(0x42, 1000, 4000));
          await backend.flush();
          assert.deepEqual(readFileSync(image).subarray(0, 4096), bytes);
          assert.deepEqual(await backend.blockStatus(0, size), [{ length: size, hole: false, zero: false }]);
        });
      }));
  }

  test('tells the size of its sectors', () =>
    withLoop(
      (device) =>
        withBackend(device, {}, async (backend) => {
          assert.equal(backend.limits.requestAlignment, 4096);
        }),
      4096,
    ));

  test('is zeroed and discarded', () =>
    withLoop(async (device, image) => {
      await withBackend(device, { discard: 'unmap' }, async (backend) => {
        const blocks = statSync(image).blocks;
        await backend.writeZeroes(0, 4096);
        await backend.writeZeroes(65536, 65536, { mayUnmap: true, fua: true });
        assert.equal(statSync(image).blocks, blocks - 128);
        await backend.discard(131072 + 1, 65536, { fua: true });
        await assert.rejects(backend.writeZeroes(0, 4096, { fast: true }), { errnoName: 'EOPNOTSUPP' });
        const bytes = Buffer.alloc(131072);
        await backend.read(0, bytes);
        assert.deepEqual(bytes, Buffer.alloc(131072, 0x41).fill(0, 0, 4096).fill(0, 65536));
        const around = Buffer.alloc(1);
        await backend.read(131072, around);
        assert.equal(around[0], 0x41);
      });
    }));

  test('cannot grow, takes no space, and is shown under its name', () =>
    withLoop((device) =>
      withBackend(device, {}, async (backend, graph) => {
        const [shown] = await graph.queryNamedBlockNodes();
        assert.deepEqual(shown?.image, {
          filename: device,
          format: 'host_device',
          'virtual-size': size,
          'actual-size': 0,
          'dirty-flag': false,
          'format-specific': { type: 'file', data: {} },
        });
        await backend.detach();
        await assert.rejects(graph.blockResize(undefined, 'h', size + 1), { message: 'Cannot grow device files' });
        await graph.blockResize(undefined, 'h', 512);
        assert.equal((await graph.queryNamedBlockNodes())[0]?.image['virtual-size'], size);
      }),
    ));

  test('follows its users with auto-read-only, read-only while nobody writes', () =>
    withLoop((device) =>
      withBackend(device, { 'auto-read-only': true }, async (backend) => {
        await backend.write(0, Buffer.alloc(512, 1));
      }),
    ));
});
