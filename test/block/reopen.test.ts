// Does blockdev-reopen change what it may, all of it or nothing?
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { O } from '../../src/addon/index.ts';
import { BlockGraph, type BlockdevOptions, type OpenFile } from '../../src/block/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;
let image: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-reopen-'));
  image = join(dir, 'image');
  writeFileSync(image, Buffer.alloc(4096));
});

after(() => rmSync(dir, { recursive: true }));

interface Bench {
  readonly graph: BlockGraph;
  /** The flags of every open. */
  readonly asked: number[];
  readonly refused: Set<number>;
}

async function withGraph(run: (bench: Bench) => Promise<void>): Promise<void> {
  const asked: number[] = [];
  const refused = new Set<number>();
  const openFile: OpenFile = async (filename, flags) => {
    asked.push(flags);
    if (refused.has(flags)) throw new FdsetError('ERR_TEST', `no fd for 0x${flags.toString(16)}`);
    const fd = openSync(filename, flags);
    return { fd, close: () => closeSync(fd) };
  };
  const graph = new BlockGraph({ openFile });
  try {
    await run({ graph, asked, refused });
  } finally {
    await graph.close();
  }
}

/** What is shown of the nodes, newest first: name, ro, direct, virtual size. */
async function shown(graph: BlockGraph): Promise<unknown[]> {
  const nodes = await graph.queryNamedBlockNodes();
  return nodes.map((node) => [node['node-name'], node.ro, node.cache.direct, node.image['virtual-size']]);
}

const file = (more: Partial<BlockdevOptions> = {}): BlockdevOptions => ({
  driver: 'file',
  'node-name': 'f',
  filename: image,
  ...more,
});
const raw = (more: Partial<BlockdevOptions> = {}): BlockdevOptions => ({
  driver: 'raw',
  'node-name': 'r',
  file: 'f',
  ...more,
});

const { O_RDONLY, O_RDWR, O_DIRECT } = O;

describe('blockdev-reopen', () => {
  test('reopens the file with the flags that its options ask for', () =>
    withGraph(async ({ graph, asked }) => {
      await graph.blockdevAdd(file({ 'read-only': true }));
      await graph.blockdevReopen([file()]);
      await graph.blockdevReopen([file()]);
      await graph.blockdevReopen([file({ cache: { direct: true } })]);
      assert.deepEqual(await shown(graph), [['f', false, true, 4096]]);
      await graph.blockdevReopen([file({ 'read-only': true })]);
      assert.deepEqual(asked, [O_RDONLY, O_RDWR, O_RDWR | O_DIRECT, O_RDONLY]);
      assert.deepEqual(await shown(graph), [['f', true, false, 4096]]);
    }));

  test('leaves everything as it was where the file cannot be had', () =>
    withGraph(async ({ graph, refused }) => {
      await graph.blockdevAdd(file());
      await graph.blockdevAdd(raw());
      refused.add(O_RDONLY);
      await assert.rejects(graph.blockdevReopen([raw({ offset: 512 }), file({ 'read-only': true })]), {
        message: 'no fd for 0x0',
      });
      assert.deepEqual(await shown(graph), [
        ['r', false, false, 4096],
        ['f', false, false, 4096],
      ]);
      const backend = await graph.attach('r', { writable: true });
      await backend.write(0, Buffer.from('x'));
      await backend.detach();
    }));

  test('that makes a file read-only while nobody writes fails where it cannot', () =>
    withGraph(async ({ graph, refused }) => {
      await graph.blockdevAdd(file());
      refused.add(O_RDONLY);
      await assert.rejects(graph.blockdevReopen([file({ 'auto-read-only': true })]), { message: 'no fd for 0x0' });
    }));

  test('a node that is listed twice keeps what it is not given anew', () =>
    withGraph(async ({ graph }) => {
      await graph.blockdevAdd(file());
      await graph.blockdevReopen([
        file({ cache: { direct: true } }),
        { driver: 'file', 'node-name': 'f', 'read-only': true },
      ]);
      assert.deepEqual(await shown(graph), [['f', true, true, 4096]]);
    }));

  test('a node that is listed twice gets the last options, or keeps what it had', () =>
    withGraph(async ({ graph, refused }) => {
      await graph.blockdevAdd(file());
      await graph.blockdevAdd(raw());
      await graph.blockdevReopen([raw({ offset: 512 }), raw({ offset: 1024 })]);
      refused.add(O_RDONLY);
      const failing = [raw({ offset: 1536 }), raw({ offset: 2048 }), file({ 'read-only': true })];
      await assert.rejects(graph.blockdevReopen(failing), { message: 'no fd for 0x0' });
      assert.deepEqual((await shown(graph))[0], ['r', false, false, 3072]);
    }));

  test('of nothing does nothing', () => withGraph(({ graph }) => graph.blockdevReopen([])));

  test('keeps the I/O of users going, with O_DIRECT and without', () =>
    withGraph(async ({ graph }) => {
      await graph.blockdevAdd(file());
      const backend = await graph.attach('f', { writable: true });
      const writes = [1, 2, 3].map((byte) => backend.write(byte * 700, Buffer.alloc(700, byte)));
      await graph.blockdevReopen([file({ cache: { direct: true } })]);
      writes.push(backend.write(2800, Buffer.alloc(700, 4)));
      await Promise.all(writes);
      await graph.blockdevReopen([file()]);
      const bytes = Buffer.alloc(2800);
      await backend.read(700, bytes);
      assert.deepEqual(bytes, Buffer.concat([1, 2, 3, 4].map((byte) => Buffer.alloc(700, byte))));
      await backend.detach();
    }));

  test('moves the window of a raw node', () =>
    withGraph(async ({ graph }) => {
      await graph.blockdevAdd(file());
      await graph.blockdevAdd(raw({ size: 512 }));
      const sizes: unknown[] = [];
      for (const window of [{ offset: 512 }, { offset: 1024, size: 1024 }, {}]) {
        await graph.blockdevReopen([raw(window)]);
        sizes.push((await graph.queryNamedBlockNodes())[0]?.image['virtual-size']);
      }
      assert.deepEqual(sizes, [3584, 1024, 4096]);
      await assert.rejects(graph.blockdevReopen([raw({ offset: 8192 })]), {
        message: 'Offset (8192) cannot be greater than size of the containing file (4096)',
      });
    }));

  test('refuses to make read-only what has a writer', () =>
    withGraph(async ({ graph }) => {
      await graph.blockdevAdd(file());
      await graph.blockdevAdd(raw());
      const backend = await graph.attach('r', { writable: true });
      for (const [name, options] of [
        ['r', raw({ 'read-only': true })],
        ['f', file({ 'read-only': true })],
      ] as const) {
        await assert.rejects(graph.blockdevReopen([options]), {
          message: `Read-only block node '${name}' cannot support read-write users`,
        });
      }
      await backend.detach();
      await graph.blockdevReopen([raw({ 'read-only': true })]);
      await assert.rejects(graph.attach('r', { writable: true }), { message: 'Block node is read-only' });
    }));

  test('lets a raw node become writable over a read-only file, as long as nobody writes', () =>
    withGraph(async ({ graph }) => {
      await graph.blockdevAdd(file({ 'read-only': true }));
      await graph.blockdevAdd(raw({ 'read-only': true }));
      await graph.blockdevReopen([raw()]);
      await assert.rejects(graph.attach('r', { writable: true }), { message: 'Block node is read-only' });
      await graph.blockdevReopen([file(), raw()]);
      await (await graph.attach('r', { writable: true })).detach();
    }));

  test('takes inline children along: what they inherit follows, what they were given stays', () =>
    withGraph(async ({ graph, asked }) => {
      const { 'node-name': _, ...anonymous } = file();
      await graph.blockdevAdd(raw({ file: anonymous }));
      const child = (await graph.queryNamedBlockNodes())[1]?.['node-name'] ?? '';
      await graph.blockdevReopen([raw({ file: child, 'read-only': true })]);
      assert.deepEqual(await shown(graph), [
        ['r', true, false, 4096],
        [child, true, false, 4096],
      ]);
      await graph.blockdevReopen([raw({ file: { ...anonymous, 'read-only': true }, cache: { direct: true } })]);
      await graph.blockdevReopen([raw({ file: child })]);
      assert.deepEqual(await shown(graph), [
        ['r', false, false, 4096],
        [child, true, false, 4096],
      ]);
      assert.deepEqual(asked, [O_RDWR, O_RDONLY, O_RDONLY | O_DIRECT, O_RDONLY]);
    }));

  const refused: [string, BlockdevOptions, string][] = [
    ['no name', { driver: 'file', filename: '/x' }, 'node-name not specified'],
    ['an unknown name', { driver: 'raw', 'node-name': 'x', file: 'f' }, "Failed to find node with node-name='x'"],
    ['an unknown child', raw({ file: 'x' }), "Cannot find device='' nor node-name='x'"],
    ['another child', raw({ file: 'z' }), "Cannot change the option 'file'"],
    ['a new child', raw({ file: { driver: 'null-co' } }), "Cannot change the option 'file'"],
    ['another driver', { driver: 'qcow2', 'node-name': 'r', file: 'f' }, "Cannot change the option 'driver'"],
    ['another file', { ...file(), filename: '/x' }, "Cannot change the option 'filename'"],
    [
      'a driver without the file name',
      { driver: 'null-co', 'node-name': 'f' },
      "Option 'filename' cannot be reset to its default value",
    ],
    [
      'a child for a driver that has none',
      { driver: 'raw', 'node-name': 'z', file: 'f' },
      'Cannot set file child to format node without file child',
    ],
    ['new locking', { ...file(), filename: 'IMAGE', locking: 'off' }, "Cannot change the option 'locking'"],
    ['a new aio', { ...file(), filename: 'IMAGE', aio: 'threads' }, "Cannot change the option 'aio'"],
    ['a new size of null-co', { driver: 'null-co', 'node-name': 'z', size: 512 }, "Cannot change the option 'size'"],
    ['an empty cache', { driver: 'null-co', 'node-name': 'z', cache: {} }, "Cannot change the option 'cache'"],
    [
      'of several options the one that QEMU looks at first',
      { driver: 'file', 'node-name': 'z', locking: 'off', filename: '/x' },
      "Cannot change the option 'locking'",
    ],
    ['force-share', { ...raw(), 'force-share': true, 'read-only': true }, "Cannot change the option 'force-share'"],
    [
      'detect-zeroes=unmap without discard',
      raw({ 'detect-zeroes': 'unmap' }),
      'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap',
    ],
    [
      'what was given and cannot be left out',
      { driver: 'null-co', 'node-name': 'y' },
      "Option 'read-zeroes' cannot be reset to its default value",
    ],
  ];

  for (const [what, options, message] of refused) {
    test(`refuses ${what}`, () =>
      withGraph(async ({ graph }) => {
        await graph.blockdevAdd(file());
        await graph.blockdevAdd(raw());
        await graph.blockdevAdd({ driver: 'null-co', 'node-name': 'z' });
        await graph.blockdevAdd({ driver: 'null-co', 'node-name': 'y', 'read-zeroes': true });
        const before = await shown(graph);
        const given = options.filename === 'IMAGE' ? { ...options, filename: image } : options;
        await assert.rejects(graph.blockdevReopen([raw({ offset: 512 }), given]), { message });
        assert.deepEqual(await shown(graph), before);
      }));
  }
});
