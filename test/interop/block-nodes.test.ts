// What do queries say of block nodes? The same scripts on QEMU and on ours, with the bytes compared.
import { suite, test } from 'node:test';
import { loopSkipReason, withLoop } from '../loop-device.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemuVersions } from '../qemu-versions.ts';
import { assertSameAnswers, request, type Script } from './same-answers.ts';

checkOpenFds();

const add = (options: object): string => request('blockdev-add', options);
const del = (name: string): string => request('blockdev-del', { 'node-name': name });
const query = request('query-named-block-nodes', { flat: true });
const deep = request('query-named-block-nodes');
const file = { driver: 'file', filename: 'disk.raw' };

const files = {
  'disk.raw': { size: 1048576, fill: 1 },
  'hole.raw': { size: 3 * 1048576 },
  'odd.raw': { size: 1000, fill: 2 },
  'empty.raw': { size: 0 },
  'big.raw': { size: 2 ** 41 },
};

const scripts: Record<string, Script> = {
  'file with the options of every node': {
    server: 'storage-daemon',
    files,
    steps: [
      query,
      add({ ...file, 'node-name': 'n0' }),
      query,
      add({ ...file, 'node-name': 'n1', 'read-only': true }),
      add({ ...file, 'node-name': 'n2', 'auto-read-only': true }),
      add({ ...file, 'node-name': 'n3', 'read-only': true, 'auto-read-only': true }),
      add({ ...file, 'node-name': 'n4', cache: { direct: true } }),
      add({ ...file, 'node-name': 'n5', cache: { 'no-flush': true, direct: false } }),
      add({ ...file, 'node-name': 'n6', discard: 'unmap', 'detect-zeroes': 'unmap' }),
      add({ ...file, 'node-name': 'n7', 'detect-zeroes': 'on' }),
      add({ ...file, 'node-name': 'n8', 'detect-zeroes': 'unmap' }),
      add({ ...file, 'node-name': 'n9', locking: 'off', aio: 'threads', 'force-share': true }),
      add({ ...file, 'node-name': 'na', 'force-share': true, 'read-only': true }),
      query,
      deep,
      ...['n1', 'n3', 'n5'].map(del),
      query,
      del('n1'),
    ],
  },
  'files of all sizes': {
    server: 'storage-daemon',
    files,
    steps: [
      ...Object.keys(files).flatMap((filename, index) => [
        add({ driver: 'file', filename, 'node-name': `f${index}` }),
        add({ driver: 'raw', file: `f${index}`, 'node-name': `r${index}` }),
      ]),
      query,
      deep,
    ],
  },
  'names of files': {
    server: 'storage-daemon',
    files: {
      'with space.raw': { size: 512 },
      'quote".raw': { size: 512 },
      'colon:x.raw': { size: 512 },
      'comma,x=y.raw': { size: 512 },
      '\u00e9\u{1f600}.raw': { size: 512 },
      'file:disk.raw': { size: 512 },
      '%41.raw': { size: 512 },
      'back\\slash.raw': { size: 512 },
    },
    steps: [
      ...[
        'with space.raw',
        'quote".raw',
        'colon:x.raw',
        './colon:x.raw',
        'comma,x=y.raw',
        '\u00e9\u{1f600}.raw',
        'file:disk.raw',
        './file:disk.raw',
        'disk.raw',
        '%41.raw',
        'back\\slash.raw',
        './/with space.raw',
        '${dir}/with space.raw',
        '',
        '.',
        'none/none',
        '/dev/fdset/',
        'nbd://localhost',
        'json:{}',
      ].flatMap((filename, index) => [
        add({ driver: 'file', filename, 'node-name': `f${index}` }),
        add({ driver: 'raw', file: `f${index}`, 'node-name': `r${index}`, 'read-only': true }),
        add({ driver: 'raw', file: `f${index}`, 'node-name': `w${index}`, size: 512 }),
      ]),
      query,
    ],
  },
  'names of nodes': {
    server: 'storage-daemon',
    steps: [
      ...[
        '',
        'a',
        'a',
        '1',
        '-',
        'a.b',
        'a_b-c',
        'a b',
        'x'.repeat(31),
        'x'.repeat(32),
        '\u00e9',
        '#block1',
        'A/b',
      ].map((name) => add({ driver: 'null-co', 'node-name': name, 'read-zeroes': true })),
      add({ driver: 'null-co' }),
      add({ driver: 'raw', 'node-name': 'r', file: '' }),
      add({ driver: 'raw', 'node-name': 'r', file: 'none' }),
      add({ driver: 'raw', 'node-name': 'r' }),
      add({ driver: 'raw', 'node-name': 'r', file: 'a' }),
      add({ driver: 'raw', 'node-name': 'r', file: { driver: 'null-co' } }),
      del('none'),
      del(''),
      del('a'),
      query,
    ],
  },
  'raw over file': {
    server: 'storage-daemon',
    files,
    steps: [
      add({ driver: 'raw', 'node-name': 'r0', file: { ...file, 'node-name': 'f0' } }),
      add({ driver: 'raw', 'node-name': 'r1', 'read-only': true, file }),
      query,
      add({ driver: 'raw', 'node-name': 'r2', file: { ...file, 'read-only': true } }),
      add({ driver: 'raw', 'node-name': 'r3', 'auto-read-only': true, 'read-only': false, file }),
      add({ driver: 'raw', 'node-name': 'r4', cache: { direct: true }, discard: 'unmap', file }),
      query,
      deep,
      add({ driver: 'raw', 'node-name': 'r5', 'detect-zeroes': 'on', file: 'r0' }),
      del('f0'),
      del('r0'),
      query,
    ],
  },
  'raw with a window': {
    server: 'storage-daemon',
    files,
    steps: [
      add({ ...file, 'node-name': 'f' }),
      add({ driver: 'raw', 'node-name': 'w0', file: 'f', offset: 65536 }),
      add({ driver: 'raw', 'node-name': 'w1', file: 'f', size: 65536 }),
      add({ driver: 'raw', 'node-name': 'w2', file: 'f', offset: 512, size: 1024 }),
      add({ driver: 'raw', 'node-name': 'w3', file: 'f', offset: 0, size: 1048576 }),
      add({ driver: 'raw', 'node-name': 'w4', file: 'f', offset: 1048576 }),
      query,
      ...[
        { offset: 1048577 },
        { offset: 100 },
        { offset: 1000, size: 512 },
        { size: 1000 },
        { size: 1048577 },
        { offset: 512, size: 1048576 },
        { size: 0 },
        { offset: -1 },
        { size: -512 },
        { offset: 9223372036854775807n.toString() },
        { offset: 1.5 },
      ].map((window, index) => add({ driver: 'raw', 'node-name': `x${index}`, file: 'f', ...window })),
      query,
      add({ driver: 'raw', 'node-name': 'y', file: 'w2', offset: 512 }),
      add({ driver: 'raw', 'node-name': 'z', file: { driver: 'raw', file, offset: 1024 } }),
      query,
    ],
  },
  'null-co': {
    server: 'storage-daemon',
    steps: [
      add({ driver: 'null-co', 'node-name': 'n0' }),
      add({ driver: 'null-co', 'node-name': 'n1', size: 0 }),
      add({ driver: 'null-co', 'node-name': 'n2', size: 1000, 'read-zeroes': true }),
      add({ driver: 'null-co', 'node-name': 'n3', 'read-zeroes': false, 'latency-ns': 1000 }),
      add({ driver: 'null-co', 'node-name': 'n4', 'read-only': true, cache: { direct: true } }),
      add({ driver: 'raw', 'node-name': 'r0', file: 'n0' }),
      add({ driver: 'raw', 'node-name': 'r1', file: 'n2', offset: 512 }),
      query,
      deep,
    ],
  },
  host_device: {
    server: 'storage-daemon',
    files,
    steps: [
      add({ driver: 'host_device', 'node-name': 'h0', filename: '/dev/null' }),
      add({ driver: 'host_device', 'node-name': 'h1', filename: '/dev/zero', 'read-only': true }),
      add({ driver: 'host_device', 'node-name': 'h2', filename: 'disk.raw' }),
      add({ driver: 'file', 'node-name': 'h3', filename: '/dev/null' }),
      add({ driver: 'host_device', 'node-name': 'h4', filename: '/dev/nothing' }),
      add({ driver: 'raw', 'node-name': 'r0', file: 'h0' }),
      query,
    ],
  },
  'options that only one version has': {
    server: 'storage-daemon',
    files,
    steps: [
      add({ ...file, 'node-name': 'n', active: true }),
      add({ ...file, 'node-name': 'n', active: 1 }),
      add({ ...file, 'node-name': 'm', active: true, 'read-only': 'x' }),
      add({ ...file, 'node-name': 'm' }),
      request('nbd-server-start', { addr: 1, 'tls-creds': 1, 'max-connections': 'x' }),
      request('nbd-server-start', { 'handshake-max-seconds': 'x', 'max-connections': 'x' }),
      request('nbd-server-start', {
        addr: { type: 'unix', data: { path: 'nbd.sock' } },
        'handshake-max-seconds': 5,
      }),
      request('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'm', 'allow-inactive': false }),
      request('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'm', name: 1, 'allow-inactive': 1 }),
      request('query-block-exports'),
    ],
  },
  exports: {
    server: 'storage-daemon',
    files,
    steps: [
      request('query-block-exports'),
      request('query-block'),
      add({ ...file, 'node-name': 'f', 'auto-read-only': true }),
      request('nbd-server-start', { addr: { type: 'unix', data: { path: 'nbd.sock' } } }),
      request('block-export-add', { type: 'nbd', id: 'e0', 'node-name': 'f' }),
      query,
      request('block-export-add', { type: 'nbd', id: 'e1', 'node-name': 'f', writable: true, name: 'other' }),
      query,
      request('block-export-add', { type: 'nbd', id: 'e2', 'node-name': 'f', name: 'third', description: 'd' }),
      request('query-block-exports'),
      request('query-block'),
      { send: request('block-export-del', { id: 'e1' }), expect: [{}, {}] },
      request('query-block-exports'),
      query,
    ],
  },
};

/** What a script says of a block device. */
function deviceScript(device: string): Script {
  const node = { driver: 'host_device', filename: device };
  return {
    server: 'system',
    steps: [
      add({ ...node, 'node-name': 'h0' }),
      add({ ...node, 'node-name': 'h1', 'read-only': true }),
      add({ ...node, 'node-name': 'h2', 'auto-read-only': true, discard: 'unmap' }),
      add({ ...node, 'node-name': 'h3', cache: { direct: true } }),
      add({ driver: 'file', filename: device, 'node-name': 'f' }),
      add({ driver: 'raw', file: 'h0', 'node-name': 'r0' }),
      add({ driver: 'raw', file: 'h0', 'node-name': 'r1', offset: 4096, size: 4096 }),
      query,
      request('block_resize', { 'node-name': 'h0', size: 2097152 }),
      del('r1'),
      request('block_resize', { 'node-name': 'h0', size: 2097152 }),
      request('block_resize', { 'node-name': 'h0', size: 512 }),
      request('block_resize', { 'node-name': 'h1', size: 512 }),
      query,
      { send: request('add-fd', { 'fdset-id': 1 }), fds: [`r:${device}`] },
      { send: request('add-fd', { 'fdset-id': 1 }), fds: [`rw:${device}`] },
      { send: request('add-fd', { 'fdset-id': 1 }), fds: [`rw+direct:${device}`] },
      add({ ...node, filename: '/dev/fdset/1', 'node-name': 's0' }),
      add({ ...node, filename: '/dev/fdset/1', 'node-name': 's1', 'read-only': true }),
      add({ ...node, filename: '/dev/fdset/1', 'node-name': 's2', cache: { direct: true } }),
      add({ ...node, driver: 'file', filename: '/dev/fdset/1', 'node-name': 's3' }),
      request('blockdev-reopen', { options: [{ ...node, filename: '/dev/fdset/1', 'node-name': 's1' }] }),
      query,
    ],
  };
}

for (const qemu of qemuVersions) {
  suite(`block nodes of ${qemu.name}`, { skip: qemu.missing }, () => {
    for (const [name, script] of Object.entries(scripts)) {
      test(name, () => assertSameAnswers(script, qemu));
    }
    test('a loop device', { skip: loopSkipReason() }, () =>
      withLoop((device) => assertSameAnswers(deviceScript(device), qemu)),
    );
  });
}
