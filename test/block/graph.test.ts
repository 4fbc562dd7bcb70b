// Do blockdev-add, blockdev-del and query-named-block-nodes answer as QEMU does?
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import { BlockGraph, openPath, type BlockdevOptions } from '../../src/block/index.ts';
import { isJsonObject, parseJson, writeJson } from '../../src/json/index.ts';
import { blockdevAdd, visitArguments } from '../../src/qapi/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

let dir: string;
let graph: BlockGraph;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fdset-block-'));
  writeFileSync(join(dir, 'disk'), Buffer.alloc(1024 * 1024, 65));
  writeFileSync(join(dir, 'odd'), Buffer.alloc(1000, 66));
  mkdirSync(join(dir, 'dir'));
});

after(() => rmSync(dir, { recursive: true }));

async function withGraph(run: () => Promise<void>): Promise<void> {
  graph = new BlockGraph({ openFile: openPath });
  try {
    await run();
  } finally {
    await graph.close();
  }
}

const path = (name: string): string => join(dir, name);
const file = (name: string, more: Partial<BlockdevOptions> = {}): BlockdevOptions => ({
  driver: 'file',
  filename: path(name),
  ...more,
});

/** Adds a node; the answer is '' or the error's text. */
async function add(nodeName: string | undefined, options: BlockdevOptions): Promise<string> {
  return answer(graph.blockdevAdd(nodeName === undefined ? options : { ...options, 'node-name': nodeName }));
}

async function answer(command: Promise<unknown>): Promise<string> {
  try {
    await command;
    return '';
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
}

async function nodeNames(): Promise<string[]> {
  return (await graph.queryNamedBlockNodes()).map((node) => node['node-name'] ?? '');
}

describe('the name of a node', () => {
  const refused: [string, string][] = [
    ['', "Invalid node-name: ''"],
    ['1n', "Invalid node-name: '1n'"],
    ['#x', "Invalid node-name: '#x'"],
    ['a b', "Invalid node-name: 'a b'"],
    ['a/b', "Invalid node-name: 'a/b'"],
    ['\u00e9', "Invalid node-name: '\u00e9'"],
    ['-x', "Invalid node-name: '-x'"],
    ['n\n', "Invalid node-name: 'n\n'"],
    ['y'.repeat(32), 'Node name too long'],
  ];

  for (const [name, message] of refused) {
    test(`${JSON.stringify(name)} is refused`, () =>
      withGraph(async () => {
        assert.equal(await add(name, { driver: 'null-co' }), message);
      }));
  }

  for (const name of ['a.b-c_d', 'x'.repeat(31), 'A1']) {
    test(`${name} is fine`, () =>
      withGraph(async () => {
        assert.equal(await add(name, { driver: 'null-co' }), '');
      }));
  }

  test('must be given at the root, before anything else is looked at', () =>
    withGraph(async () => {
      assert.equal(await add(undefined, file('none')), "'node-name' must be specified for the root node");
      assert.equal(await add(undefined, { driver: 'nfs' }), "'node-name' must be specified for the root node");
    }));

  test('must be free, of nodes that are still being opened too', () =>
    withGraph(async () => {
      const [first, second] = await Promise.all([add('n', file('disk')), add('n', file('disk'))]);
      assert.deepEqual([first, second].sort(), ['', "Duplicate nodes with node-name='n'"]);
      assert.equal(await add('n', file('none')), "Duplicate nodes with node-name='n'");
    }));

  test('is free again where a cache without members was refused, as an option that no driver knows', () =>
    withGraph(async () => {
      const text = "Block protocol 'file' doesn't support the option 'cache'";
      assert.equal(await add('n', file('disk', { cache: {} })), text);
      assert.equal(await add('n', file('disk')), '');
      const format = "Block format 'raw' does not support the option 'cache'";
      assert.equal(await add('r', { driver: 'raw', file: 'n', cache: {} }), format);
      assert.equal(await add('r', { driver: 'raw', file: 'n' }), '');
    }));

  test('is free again after an open that failed', () =>
    withGraph(async () => {
      assert.notEqual(await add('n', file('none')), '');
      assert.equal(await add('n', file('disk')), '');
    }));

  test('is made up for inline children: #block, a counter, two random digits', () =>
    withGraph(async () => {
      await add('a', { driver: 'raw', file: file('disk') });
      await add('b', { driver: 'raw', file: file('disk') });
      const [b, childOfB, a, childOfA] = await nodeNames();
      assert.deepEqual([a, b], ['a', 'b']);
      assert.match(childOfA ?? '', /^#block0\d\d$/);
      assert.match(childOfB ?? '', /^#block1\d\d$/);
    }));
});

describe('blockdev-add', () => {
  const refused: [string, () => BlockdevOptions, () => string][] = [
    ['an unknown driver', () => ({ driver: 'nfs' }), () => "Unknown driver 'nfs'"],
    ['a missing file', () => file('none'), () => `Could not open '${path('none')}': No such file or directory`],
    ['a directory to write to', () => file('dir'), () => `Could not open '${path('dir')}': Is a directory`],
    [
      'a directory to read',
      () => file('dir', { 'read-only': true }),
      () => `'file' driver requires '${path('dir')}' to be a regular file`,
    ],
    ['a path with U+0000', () => file('disk\0'), () => `Could not open '${path('disk\0')}': No such file or directory`],
    [
      'an empty file name',
      () => ({ driver: 'file', filename: '' }),
      () => "The 'file' block driver requires a file name",
    ],
    [
      'an empty device name',
      () => ({ driver: 'host_device', filename: '' }),
      () => "The 'host_device' block driver requires a file name",
    ],
    [
      'a file as a device',
      () => ({ driver: 'host_device', filename: path('disk') }),
      () => `'host_device' driver requires '${path('disk')}' to be either a character or block device`,
    ],
    [
      'a file without a size that cannot be sought',
      () => ({ driver: 'file', filename: '/proc/version', 'read-only': true }),
      () => 'Could not refresh total sector count: Invalid argument',
    ],
    [
      'an unknown child',
      () => ({ driver: 'raw', file: 'none' }),
      () => "Cannot find device='none' nor node-name='none'",
    ],
    [
      'force-share for writing',
      () => file('disk', { 'force-share': true }),
      () => 'force-share=on can only be used with read-only images',
    ],
    [
      'detect-zeroes=unmap without discard=unmap',
      () => file('disk', { 'detect-zeroes': 'unmap' }),
      () => 'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap',
    ],
    [
      'a reservation manager',
      () => file('disk', { 'pr-manager': 'x' }),
      () => "No persistent reservation manager with id 'x'",
    ],
    [
      'aio=native through the page cache',
      () => file('disk', { aio: 'native' }),
      () => 'aio=native was specified, but it requires cache.direct=on, which was not specified.',
    ],
    ['an inactive node', () => file('disk', { active: false }), () => 'Inactive block nodes are not supported'],
    ['a null-co that is too long', () => ({ driver: 'null-co', size: 2n ** 63n - 512n }), tooLarge],
    ['a null-co beyond what offsets count', () => ({ driver: 'null-co', size: Number.MAX_SAFE_INTEGER }), tooLarge],
    ['a negative size', () => ({ driver: 'null-co', size: -1 }), () => negative('size')],
    ['a negative offset', () => ({ driver: 'raw', offset: -1, file: file('disk') }), () => negative('offset')],
    ['a latency beyond int64', () => ({ driver: 'null-co', 'latency-ns': 2n ** 63n }), () => 'latency-ns is invalid'],
  ];

  for (const [what, options, message] of refused) {
    test(`refuses ${what}`, () =>
      withGraph(async () => {
        assert.equal(await add('n', options()), message());
        assert.deepEqual(await nodeNames(), []);
      }));
  }

  test('opens the child before it looks at the name of the parent', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      assert.equal(await add('f', { driver: 'raw', file: 'none' }), "Cannot find device='none' nor node-name='none'");
      assert.equal(await add('f', { driver: 'raw', file: 'f' }), "Duplicate nodes with node-name='f'");
      const named = { driver: 'raw', file: file('disk', { 'node-name': 'x' }) };
      assert.equal(await add('x', named), "Duplicate nodes with node-name='x'");
      assert.deepEqual(await nodeNames(), ['f']);
    }));

  test('takes what the schema makes of QMP arguments', () =>
    withGraph(async () => {
      const text = '{"driver": "raw", "node-name": "r", "size": 512, "file": {"driver": "null-co", "size": 1024}}';
      const parsed = parseJson(text);
      assert.ok(isJsonObject(parsed));
      await graph.blockdevAdd(visitArguments(blockdevAdd, parsed));
      assert.equal((await graph.queryNamedBlockNodes())[0]?.image['virtual-size'], 512);
    }));

  test('takes a character device as host_device, of length 0', () =>
    withGraph(async () => {
      assert.equal(await add('h', { driver: 'host_device', filename: '/dev/null' }), '');
      const [node] = await graph.queryNamedBlockNodes();
      assert.equal(node?.image['virtual-size'], 0);
      assert.equal(node?.image['actual-size'], 0);
    }));
});

describe('raw', () => {
  const windows: [Partial<BlockdevOptions>, number | string][] = [
    [{}, 1024],
    [{ offset: 512 }, 512],
    [{ offset: 500 }, 1024],
    [{ offset: 1024 }, 0],
    [{ size: 1024 }, 1024],
    [{ size: 0 }, 0],
    [{ offset: 512, size: 512 }, 512],
    [{ offset: 1025 }, 'Offset (1025) cannot be greater than size of the containing file (1024)'],
    [{ size: 100 }, 'Specified size is not multiple of 512'],
    [{ size: 2048 }, sumText(0, 2048)],
    [{ offset: 512, size: 1024 }, sumText(512, 1024)],
    [{ size: 2n ** 63n - 1n }, sumText(0, 2n ** 63n - 1n)],
  ];

  for (const [options, expected] of windows) {
    test(`with ${inspect(options)} over 1000 bytes: ${expected}`, () =>
      withGraph(async () => {
        const text = await add('r', { driver: 'raw', ...options, file: file('odd') });
        if (typeof expected === 'string') return assert.equal(text, expected);
        assert.equal(text, '');
        assert.equal((await graph.queryNamedBlockNodes())[0]?.image['virtual-size'], expected);
      }));
  }

  test('shows its window, and zeros where the file has ended', () =>
    withGraph(async () => {
      await add('f', file('odd'));
      await add('r', { driver: 'raw', offset: 500, file: 'f' });
      const backend = await graph.attach('r', { writable: true });
      const bytes = Buffer.alloc(1024, 1);
      await backend.read(0, bytes);
      assert.deepEqual(bytes, Buffer.concat([Buffer.alloc(500, 66), Buffer.alloc(524)]));
      await assert.rejects(backend.write(600, Buffer.alloc(1)), { errnoName: 'ENOSPC' });
      await backend.detach();
    }));
});

function sumText(offset: number, size: number | bigint): string {
  return (
    `The sum of offset (${offset}) and size (${size}) has to be smaller or equal to the ` +
    ' actual size of the containing file (1024)'
  );
}

describe('blockdev-del', () => {
  test('says why it refuses', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      await add('r', { driver: 'raw', file: 'f' });
      await add('p', { driver: 'raw', file: file('disk', { 'node-name': 'c' }) });
      const backend = await graph.attach('r', { writable: false });
      const both = await graph.attach('f', { writable: false });
      assert.equal(await answer(graph.blockdevDel('x')), "Failed to find node with node-name='x'");
      assert.equal(await answer(graph.blockdevDel('r')), 'Node r is in use');
      assert.equal(await answer(graph.blockdevDel('f')), 'Node f is in use');
      assert.equal(await answer(graph.blockdevDel('c')), 'Node c is not owned by the monitor');
      await both.detach();
      assert.equal(await answer(graph.blockdevDel('f')), 'Block device f is in use');
      await backend.detach();
      assert.deepEqual(await nodeNames(), ['p', 'c', 'r', 'f']);
    }));

  test('takes inline children along, named ones stay', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      await add('r', { driver: 'raw', file: 'f' });
      await add('p', { driver: 'raw', file: { driver: 'raw', file: file('disk') } });
      await graph.blockdevDel('p');
      await graph.blockdevDel('r');
      assert.deepEqual(await nodeNames(), ['f']);
    }));

  test('leaves an inline child to its other users, with whose last one it goes', () =>
    withGraph(async () => {
      await add('p', { driver: 'raw', file: file('disk', { 'node-name': 'c' }) });
      const backend = await graph.attach('c', { writable: false });
      await graph.blockdevDel('p');
      assert.deepEqual(await nodeNames(), ['c']);
      await backend.detach();
      assert.deepEqual(await nodeNames(), []);
    }));

  test('finds a node in use whose parent is still being opened', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      const adding = add('r', { driver: 'raw', file: 'f' });
      assert.equal(await answer(graph.blockdevDel('f')), 'Block device f is in use');
      assert.equal(await adding, '');
    }));
});

describe('query-named-block-nodes', () => {
  test('shows every member of a file node', () =>
    withGraph(async () => {
      truncateSync(path('odd'), 1000);
      await add('f', file('odd'));
      const text = writeJson(await graph.queryNamedBlockNodes()).replaceAll(path('odd'), 'PATH');
      assert.equal(
        text,
        '[{"iops_rd": 0, "detect_zeroes": "off", "active": true, "image": {"virtual-size": 1024, "filename": "PATH", ' +
          '"format": "file", "actual-size": 4096, "format-specific": {"type": "file", "data": {}}, ' +
          '"dirty-flag": false}, "iops_wr": 0, "ro": false, "node-name": "f", "backing_file_depth": 0, "drv": "file", ' +
          '"iops": 0, "bps_wr": 0, "write_threshold": 0, "encrypted": false, "bps": 0, "bps_rd": 0, "cache": ' +
          '{"no-flush": false, "direct": false, "writeback": true}, "file": "PATH"}]',
      );
    }));

  test('shows what a child inherits, and what not', () =>
    withGraph(async () => {
      const options = {
        'read-only': true,
        'force-share': true,
        cache: { direct: true, 'no-flush': true },
        discard: 'unmap',
        'detect-zeroes': 'unmap',
      } as const;
      await add('r', { driver: 'raw', ...options, file: { driver: 'null-co', 'node-name': 'c' } });
      await add('s', {
        driver: 'raw',
        ...options,
        file: { driver: 'null-co', 'node-name': 'd', cache: { direct: true } },
      });
      const shown = (await graph.queryNamedBlockNodes()).map((node) => [
        node['node-name'],
        node.ro,
        node.cache.direct,
        node.cache['no-flush'],
        node.detect_zeroes,
      ]);
      assert.deepEqual(shown, [
        ['s', true, true, true, 'unmap'],
        ['d', true, true, true, 'off'],
        ['r', true, true, true, 'unmap'],
        ['c', true, true, true, 'off'],
      ]);
    }));

  const filenames: [BlockdevOptions, string][] = [
    [{ driver: 'null-co' }, 'null-co://'],
    [{ driver: 'null-co', size: 1000 }, 'json:{"driver": "null-co", "size": 1000}'],
    [{ driver: 'null-co', 'read-zeroes': true }, 'json:{"read-zeroes": true, "driver": "null-co"}'],
    [{ driver: 'null-co', 'latency-ns': 5 }, 'null-co://'],
    [{ driver: 'raw', file: { driver: 'null-co' } }, 'null-co://'],
    [
      { driver: 'raw', file: { driver: 'null-co', size: 1000 } },
      'json:{"driver": "raw", "file": {"driver": "null-co", "size": 1000}}',
    ],
    [
      { driver: 'raw', offset: 512, file: { driver: 'null-co' } },
      'json:{"offset": 512, "driver": "raw", "file": {"driver": "null-co"}}',
    ],
    [
      { driver: 'raw', file: { driver: 'raw', file: { driver: 'null-co' } } },
      'json:{"driver": "raw", "file": {"driver": "raw", "file": {"driver": "null-co"}}}',
    ],
  ];

  for (const [options, expected] of filenames) {
    test(`names ${inspect(options, { depth: 3, breakLength: Infinity })} ${expected}`, () =>
      withGraph(async () => {
        await add('n', options);
        const [node] = await graph.queryNamedBlockNodes();
        assert.equal(node?.file, expected);
        assert.equal(node?.image.filename, expected);
        assert.equal(node?.image['dirty-flag'], undefined);
      }));
  }
});

describe('block_resize', () => {
  const resize = (nodeName: string | undefined, size: number | bigint): Promise<string> =>
    answer(graph.blockResize(undefined, nodeName, size));

  test('changes the file; the raw node above keeps its length until it is resized or reopened itself', () =>
    withGraph(async () => {
      writeFileSync(path('size'), Buffer.alloc(1024));
      await add('f', file('size'));
      await add('r', { driver: 'raw', file: 'f' });
      const sizes = async (): Promise<unknown[]> =>
        (await graph.queryNamedBlockNodes()).map((node) => node.image['virtual-size']);
      assert.equal(await resize('r', 4096), '');
      assert.deepEqual(await sizes(), [4096, 4096]);
      assert.equal(await resize('f', 1000), '');
      assert.deepEqual(await sizes(), [4096, 1024]);
      await graph.blockdevReopen([{ driver: 'raw', 'node-name': 'r', file: 'f' }]);
      assert.deepEqual(await sizes(), [1024, 1024]);
    }));

  test('says why it refuses', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      await add('ro', file('disk', { 'read-only': true }));
      await add('z', { driver: 'null-co' });
      await add('fixed', { driver: 'raw', size: 512, file: { driver: 'null-co' } });
      await add('over-ro', { driver: 'raw', file: 'ro' });
      await add('null', { driver: 'host_device', filename: '/dev/null' });
      assert.equal(await resize('none', 512), "Cannot find device='' nor node-name='none'");
      assert.equal(await resize(undefined, 512), "Cannot find device='' nor node-name=''");
      assert.equal(await resize('f', -1), "Parameter 'size' expects a >0 size");
      assert.equal(await resize('f', 2n ** 63n - 1n), `offset(${2n ** 63n - 1n}) exceeds maximum(9223372035781033984)`);
      assert.equal(await resize('f', 2n ** 62n), 'Could not resize file: File too large');
      assert.equal(await resize('ro', 512), 'Image is read-only');
      assert.equal(await resize('over-ro', 512), 'Image is read-only');
      assert.equal(await resize('z', 512), 'Image format driver does not support resize');
      assert.equal(await resize('fixed', 512), 'Cannot resize fixed-size raw disks');
      assert.equal(await resize('null', 512), 'Cannot grow device files');
    }));

  test('conflicts with an export, which does not share resize', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      await add('r', { driver: 'raw', file: 'f' });
      const backend = await graph.attach('r', { writable: false });
      assert.equal(
        await resize('r', 512),
        "Permission conflict on node 'r': permissions 'resize' are both required by an unnamed block device " +
          "(uses node 'r' as 'root' child) and unshared by an unnamed block device (uses node 'r' as 'root' child).",
      );
      assert.equal(
        await resize('f', 512),
        "Permission conflict on node 'f': permissions 'resize' are both required by an unnamed block device " +
          "(uses node 'f' as 'root' child) and unshared by node 'r' (uses node 'f' as 'file' child).",
      );
      await backend.detach();
      assert.equal(await resize('f', 1024 * 1024), '');
    }));
});

describe('attaching', () => {
  test('names the node that it cannot find', () =>
    withGraph(async () => {
      assert.equal(
        await answer(graph.attach('none', { writable: false })),
        "Cannot find device='' nor node-name='none'",
      );
      assert.throws(() => graph.find('none', undefined), { message: "Cannot find device='none' nor node-name=''" });
    }));

  test('a writer to a read-only node, or to one above it, is refused', () =>
    withGraph(async () => {
      await add('ro', file('disk', { 'read-only': true }));
      await add('over', { driver: 'raw', file: 'ro' });
      assert.equal(await answer(graph.attach('ro', { writable: true })), 'Block node is read-only');
      assert.equal(await answer(graph.attach('over', { writable: true })), 'Block node is read-only');
      assert.deepEqual(graph.find(undefined, 'ro'), { nodeName: 'ro', readOnly: true });
      assert.deepEqual(graph.find(undefined, 'over'), { nodeName: 'over', readOnly: false });
    }));

  test('users that exclude each other are named', () =>
    withGraph(async () => {
      await add('f', file('disk'));
      await add('r', { driver: 'raw', file: 'f' });
      const alone = await graph.attach('r', { writable: false, user: "job 'j'", shared: 1 });
      assert.equal(
        await answer(graph.attach('f', { writable: true })),
        "Permission conflict on node 'f': permissions 'write' are both required by an unnamed block device " +
          "(uses node 'f' as 'root' child) and unshared by node 'r' (uses node 'f' as 'file' child).",
      );
      assert.equal(
        await answer(graph.attach('r', { writable: true })),
        "Permission conflict on node 'r': permissions 'write' are both required by an unnamed block device " +
          "(uses node 'r' as 'root' child) and unshared by job 'j' (uses node 'r' as 'root' child).",
      );
      await alone.detach();
      await (await graph.attach('f', { writable: true })).detach();
      await graph.blockdevDel('r');
      await graph.blockdevDel('f');
    }));
});

function tooLarge(): string {
  return 'Could not refresh total sector count: File too large';
}

function negative(name: string): string {
  return `Value '-1' is out of range for parameter '${name}'`;
}
