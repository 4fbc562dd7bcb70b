// Is a file whose blocks are larger than a sector read and written in whole blocks, and never made longer than its node?
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { PosixIo, type Storage } from '../../../src/block/drivers/posix-io.ts';
import { HeldFile } from '../../../src/block/held-file.ts';
import { checkOpenFds } from '../../open-fds.ts';

checkOpenFds();

let dir: string;
let image: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-io-'));
  image = join(dir, 'image');
});

after(() => rmSync(dir, { recursive: true }));

/** Storage that can do nothing but read and write. */
const plain: Storage = {
  zero: async () => false,
  discard: async () => undefined,
  status: async (_fd, offset, end) => [{ length: end - offset, hole: false, zero: false }],
};

async function withBlocksOf4096(bytes: Buffer, length: number, run: (io: PosixIo) => Promise<void>): Promise<void> {
  writeFileSync(image, bytes);
  const fd = openSync(image, 'r+');
  const file = new HeldFile({ fd, close: () => closeSync(fd) });
  const facts = { storage: plain, requestsPerNode: 4, noFlush: () => false, length: () => length };
  try {
    await run(new PosixIo({ file, alignment: 4096, inline: undefined }, facts));
  } finally {
    file.retire();
  }
}

const random = (seed: number, length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, index) => ((index * 7919 + seed) >> 3) & 0xff));

test('a write that is not whole blocks keeps what is around it', () => {
  const expected = random(1, 5 * 4096);
  return withBlocksOf4096(expected, expected.length, async (io) => {
    for (const [offset, length] of [
      [1, 10],
      [4095, 2],
      [4000, 9000],
      [0, 4097],
      [8191, 4097],
      [12288, 4096],
    ] as const) {
      const data = random(offset, length);
      await io.write(offset, data, { fua: false });
      data.copy(expected, offset);
      assert.ok(readFileSync(image).equals(expected), `${length} bytes at ${offset}`);
      const back = Buffer.alloc(length);
      await io.read(offset, back);
      assert.deepEqual(back, data);
    }
  });
});

test('a write to the last block does not make the file longer than the node', () =>
  withBlocksOf4096(Buffer.alloc(1000, 1), 1024, async (io) => {
    await io.write(1020, Buffer.alloc(4, 2), { fua: true });
    assert.deepEqual(readFileSync(image), Buffer.alloc(1024, 1).fill(0, 1000).fill(2, 1020));
    await io.writeZeroes(512, 512, { fua: false, mayUnmap: false, fast: false });
    assert.deepEqual(readFileSync(image), Buffer.alloc(1024).fill(1, 0, 512));
    assert.equal(statSync(image).size, 1024);
  }));

test('writes within one block at the same time all arrive', () =>
  withBlocksOf4096(Buffer.alloc(8192), 8192, async (io) => {
    const offsets = Array.from({ length: 64 }, (_, index) => index * 128);
    await Promise.all(offsets.map((offset) => io.write(offset, Buffer.alloc(128, offset / 128 + 1), { fua: false })));
    const expected = Buffer.concat(offsets.map((offset) => Buffer.alloc(128, offset / 128 + 1)));
    assert.ok(readFileSync(image).equals(expected));
  }));
