// Does the open mode of a file follow the users of its node?
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { O } from '../../src/addon/index.ts';
import { BlockGraph, type BlockdevOptions, type OpenFile } from '../../src/block/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-mode-'));
  writeFileSync(join(dir, 'image'), Buffer.alloc(4096));
  writeFileSync(join(dir, 'other'), Buffer.alloc(4096));
});

after(() => rmSync(dir, { recursive: true }));

/** A source of files that can be told to refuse modes; it keeps a record of what was asked for and closed. */
class Files {
  readonly asked: number[] = [];
  readonly refused = new Set<number>();
  file = 'image';
  open = 0;

  readonly openFile: OpenFile = async (_filename, flags) => {
    this.asked.push(flags);
    const hex = flags.toString(16);
    if (this.refused.has(flags))
      throw new FdsetError('ERR_TEST', `Failed to find file descriptor with matching flags=0x${hex}`);
    const fd = openSync(join(dir, this.file), flags);
    this.open++;
    return {
      fd,
      close: () => {
        this.open--;
        closeSync(fd);
      },
    };
  };
}

async function withNode(
  options: Partial<BlockdevOptions>,
  run: (graph: BlockGraph, files: Files) => Promise<void>,
): Promise<void> {
  const files = new Files();
  const graph = new BlockGraph({ openFile: files.openFile });
  await graph.blockdevAdd({ driver: 'file', 'node-name': 'n', filename: '/dev/fdset/1', ...options });
  assert.equal(files.open, 1);
  try {
    await run(graph, files);
    assert.equal(files.open, 1);
  } finally {
    await graph.close();
  }
  assert.equal(files.open, 0);
}

const { O_RDONLY, O_RDWR, O_DIRECT } = O;

describe('the flags of the first open', () => {
  const cases: [Partial<BlockdevOptions>, number][] = [
    [{}, O_RDWR],
    [{ 'read-only': false }, O_RDWR],
    [{ 'read-only': true }, O_RDONLY],
    [{ 'read-only': true, 'auto-read-only': true }, O_RDONLY],
    [{ 'auto-read-only': true }, O_RDONLY],
    [{ cache: { direct: true } }, O_RDWR | O_DIRECT],
    [{ cache: { direct: true }, 'read-only': true }, O_RDONLY | O_DIRECT],
    [{ cache: { 'no-flush': true }, locking: 'off', discard: 'unmap', 'detect-zeroes': 'on', aio: 'io_uring' }, O_RDWR],
  ];

  for (const [options, flags] of cases) {
    test(`with ${JSON.stringify(options)} are 0x${flags.toString(16)}`, () =>
      withNode(options, async (_graph, files) => {
        assert.deepEqual(files.asked, [flags]);
      }));
  }
});

describe('with auto-read-only', () => {
  const auto = { 'auto-read-only': true };

  test('a writer makes it read-write, the last writer to go makes it read-only', () =>
    withNode(auto, async (graph, files) => {
      const reader = await graph.attach('n', { writable: false });
      assert.deepEqual(files.asked, [O_RDONLY]);
      const first = await graph.attach('n', { writable: true });
      const second = await graph.attach('n', { writable: true });
      assert.deepEqual(files.asked, [O_RDONLY, O_RDWR]);
      await first.write(0, Buffer.from('x'));
      await first.detach();
      assert.deepEqual(files.asked, [O_RDONLY, O_RDWR]);
      await second.detach();
      assert.deepEqual(files.asked, [O_RDONLY, O_RDWR, O_RDONLY]);
      const bytes = Buffer.alloc(1);
      await reader.read(0, bytes);
      assert.equal(bytes.toString(), 'x');
      await reader.detach();
      assert.equal(readFileSync(join(dir, 'image'))[0], 'x'.charCodeAt(0));
    }));

  test('resizing counts as writing', () =>
    withNode(auto, async (graph, files) => {
      await graph.blockResize(undefined, 'n', 4096);
      assert.deepEqual(files.asked, [O_RDONLY, O_RDWR, O_RDONLY]);
    }));

  test('a writer of a raw node above counts, and a raw node passes the option on', async () => {
    const files = new Files();
    const graph = new BlockGraph({ openFile: files.openFile });
    const file = { driver: 'file', filename: '/dev/fdset/1' };
    await graph.blockdevAdd({ driver: 'raw', 'node-name': 'r', 'auto-read-only': true, file });
    const writer = await graph.attach('r', { writable: true });
    await writer.detach();
    assert.deepEqual(files.asked, [O_RDONLY, O_RDWR, O_RDONLY]);
    await graph.close();
    assert.equal(files.open, 0);
  });

  test('a writer that cannot have the file is told why, and nothing changes', () =>
    withNode(auto, async (graph, files) => {
      files.refused.add(O_RDWR);
      const message = 'Failed to find file descriptor with matching flags=0x2';
      await assert.rejects(graph.attach('n', { writable: true }), { message });
      const reader = await graph.attach('n', { writable: false });
      await assert.rejects(graph.attach('n', { writable: true }), { message });
      await reader.read(0, Buffer.alloc(1));
      await reader.detach();
      files.refused.clear();
      await (await graph.attach('n', { writable: true })).detach();
    }));

  test('a file that cannot be opened for reading any more stays as it is, for readers and writers', () =>
    withNode(auto, async (graph, files) => {
      const writer = await graph.attach('n', { writable: true });
      files.refused.add(O_RDONLY);
      await writer.detach();
      const next = await graph.attach('n', { writable: true });
      await next.write(0, Buffer.from('y'));
      await next.detach();
      const reader = await graph.attach('n', { writable: false });
      await reader.read(0, Buffer.alloc(1));
      await reader.detach();
      files.refused.clear();
      await (await graph.attach('n', { writable: false })).detach();
      assert.equal(files.asked.at(-1), O_RDONLY);
    }));

  test('another file under the same name is not taken for the first', () =>
    withNode(auto, async (graph, files) => {
      files.file = 'other';
      await assert.rejects(graph.attach('n', { writable: true }), {
        message: "Could not open '/dev/fdset/1': it is not the file that the node was opened with",
      });
    }));

  test('a read-only node stays read-only', () =>
    withNode({ ...auto, 'read-only': true }, async (graph) => {
      await assert.rejects(graph.attach('n', { writable: true }), { message: 'Block node is read-only' });
    }));

  test('writers that come and go at the same time leave one file, open for those who are there', () =>
    withNode(auto, async (graph, files) => {
      const writers = await Promise.all([1, 2, 3].map(() => graph.attach('n', { writable: true })));
      assert.deepEqual(files.asked, [O_RDONLY, O_RDWR]);
      const [first, ...others] = writers;
      const [late] = await Promise.all([
        graph.attach('n', { writable: true }),
        ...others.map((writer) => writer.detach()),
        first?.detach(),
      ]);
      await late.write(0, Buffer.from('z'));
      await late.detach();
    }));
});
