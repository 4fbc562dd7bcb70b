// Reopening and resizing over fd sets: the same scripts on the emulator and on ours, with the bytes compared.
import { suite, test } from 'node:test';
import { checkOpenFds } from '../open-fds.ts';
import { qemuVersions } from '../qemu-versions.ts';
import type { Step } from '../transcripts/scenario.ts';
import { assertSameAnswers, request, type Script } from './same-answers.ts';

checkOpenFds();

const files = { 'disk.raw': { size: 1048576, fill: 1 }, 'other.raw': { size: 1048576, fill: 7 } };

const add = (options: object): string => request('blockdev-add', options);
const del = (name: string): string => request('blockdev-del', { 'node-name': name });
const reopen = (...options: object[]): string => request('blockdev-reopen', { options });
const addFd = (spec: string, set: number, opaque?: string): Step => ({
  send: request('add-fd', { 'fdset-id': set, opaque }),
  fds: [spec],
});
const removeFd = (set: number, name?: string): Step => ({
  send:
    name === undefined
      ? request('remove-fd', { 'fdset-id': set })
      : `{"execute": "remove-fd", "arguments": {"fdset-id": ${set}, "fd": \${fd:${name}}}}`,
});
const fdsets = request('query-fdsets');
const nodes = request('query-named-block-nodes', { flat: true });
const file = { driver: 'file', 'node-name': 'f', filename: '/dev/fdset/1' };
const raw = { driver: 'raw', 'node-name': 'r', file: 'f' };
const readWrite = { 'read-only': false };
const readOnly = { 'read-only': true };
const startNbd = request('nbd-server-start', { addr: { type: 'unix', data: { path: 'nbd.sock' } } });
const exportNode = (node: string, writable: boolean): string =>
  request('block-export-add', { type: 'nbd', id: `e-${node}`, 'node-name': node, name: 'x', writable });
const nbd = (action: object): Step => ({ nbd: { as: 'n', export: 'x', ...action } as NonNullable<Step['nbd']> });
const open = nbd({ do: 'open' });
const write = (byte: number): Step => nbd({ do: 'write', offset: 0, length: 512, byte });
const read = nbd({ do: 'read', offset: 0, length: 8 });
const content: Step = { 'read-file': { file: 'disk.raw', offset: 0, length: 4, hex: '' } };

const scripts: Record<string, Script> = {
  'read-only to read-write and back over one fd of each mode': {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1, 'reading'),
      addFd('rw:disk.raw', 1, 'writing'),
      add({ ...file, ...readOnly }),
      nodes,
      reopen({ ...file, ...readWrite }),
      nodes,
      startNbd,
      exportNode('f', true),
      open,
      write(0x55),
      content,
      reopen({ ...file, ...readOnly }),
      write(0x66),
      content,
      nbd({ do: 'close' }),
      { send: request('block-export-del', { id: 'e-f' }), expect: [{}, {}] },
      reopen({ ...file, ...readOnly }),
      nodes,
      exportNode('f', true),
      reopen(file),
      exportNode('f', true),
      fdsets,
    ],
  },
  'a removed fd refuses the reopen, and the old dup goes on': {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1),
      addFd('rw:disk.raw', 1),
      add({ ...file, ...readWrite }),
      startNbd,
      exportNode('f', false),
      open,
      read,
      removeFd(1, 'n1'),
      fdsets,
      reopen({ ...file, ...readOnly }),
      nodes,
      read,
      removeFd(1),
      fdsets,
      reopen({ ...file, ...readOnly }),
      read,
      nodes,
      addFd('r:disk.raw', 1),
      reopen({ ...file, ...readOnly }),
      read,
      nodes,
      reopen({ ...file, ...readWrite }),
      read,
      nbd({ do: 'close' }),
      { send: request('block-export-del', { id: 'e-f' }), expect: [{}, {}] },
      del('f'),
      fdsets,
    ],
  },
  'a writer whose fd is removed writes on': {
    server: 'system',
    files,
    steps: [
      addFd('rw:disk.raw', 1),
      add({ ...file, ...readWrite }),
      startNbd,
      exportNode('f', true),
      open,
      removeFd(1),
      write(0x21),
      content,
      fdsets,
      addFd('rw:disk.raw', 1),
      removeFd(1),
      write(0x22),
      content,
      { send: request('block-export-del', { id: 'e-f', mode: 'hard' }), expect: [{}, {}] },
      fdsets,
      del('f'),
      fdsets,
    ],
  },
  'a node over a node is reopened with what it stands on': {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1),
      addFd('rw:disk.raw', 1),
      add({ ...file, ...readOnly }),
      add({ ...raw, ...readOnly }),
      reopen({ ...raw, ...readWrite }),
      reopen({ ...raw, ...readWrite }, { ...file, ...readWrite }),
      nodes,
      reopen({ ...file, ...readWrite }, { ...raw, ...readWrite }),
      nodes,
      reopen({ ...file, ...readOnly }),
      nodes,
      reopen({ ...raw, ...readOnly }, { ...file, ...readOnly }),
      nodes,
      del('r'),
      add({ driver: 'raw', 'node-name': 'i', file: { ...file, 'node-name': 'g' }, 'read-only': true }),
      nodes,
      reopen({ driver: 'raw', 'node-name': 'i', file: 'g', 'read-only': false }),
      nodes,
      reopen({ driver: 'raw', 'node-name': 'i', file: 'g', 'read-only': true }),
      nodes,
    ],
  },
  'auto-read-only follows the writers': {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1),
      addFd('rw:disk.raw', 1),
      add({ ...file, 'auto-read-only': true }),
      startNbd,
      exportNode('f', true),
      open,
      write(0x31),
      content,
      removeFd(1, 'n1'),
      nbd({ do: 'close' }),
      { send: request('block-export-del', { id: 'e-f' }), expect: [{}, {}] },
      exportNode('f', true),
      open,
      write(0x32),
      content,
      nodes,
      fdsets,
    ],
  },
  'a window over an fd': {
    server: 'system',
    files,
    steps: [
      addFd('rw:disk.raw', 1),
      add(file),
      add({ ...raw, offset: 4096, size: 8192 }),
      startNbd,
      exportNode('r', true),
      open,
      write(0x41),
      { 'read-file': { file: 'disk.raw', offset: 4095, length: 4, hex: '' } },
      nbd({ do: 'write', offset: 8192 - 512, length: 512, byte: 0x42 }),
      { 'read-file': { file: 'disk.raw', offset: 4096 + 8192 - 2, length: 4, hex: '' } },
      nbd({ do: 'write', offset: 8192, length: 512, byte: 0x43 }),
      nbd({ do: 'read', offset: 8192 - 512, length: 1024 }),
      reopen({ ...raw, offset: 4096, size: 16384 }),
      nodes,
      reopen({ ...raw, offset: 8192 }),
      nodes,
      reopen({ ...raw, offset: 1048577 }),
      reopen({ ...raw, size: 1000 }),
      reopen(raw),
      nodes,
    ],
  },
  resizing: {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1),
      addFd('rw:disk.raw', 1),
      add(file),
      add(raw),
      ...[
        { 'node-name': 'f', size: 2097152 },
        { 'node-name': 'r', size: 3145728 },
        { device: 'r', size: 1048576 },
        { 'node-name': 'f', size: 1000 },
        { 'node-name': 'f', size: 0 },
        { 'node-name': 'f', size: 512 },
        { 'node-name': 'f', size: -1 },
        { 'node-name': 'f', size: '1' },
        { 'node-name': 'f', size: 1.5 },
        { 'node-name': 'f', size: 2 ** 62 },
        { 'node-name': 'f' },
        { size: 512 },
        { 'node-name': 'none', size: 512 },
        { device: 'none', size: 512 },
        { device: 'none', 'node-name': 'f', size: 512 },
        { device: '', 'node-name': 'f', size: 1024 },
        { 'node-name': '', size: 1024 },
        { 'node-name': 'none', size: -1 },
      ].flatMap((args) => [request('block_resize', args), nodes]),
      '{"execute": "block_resize", "arguments": {"node-name": "f", "size": 9223372036854775807}}',
      '{"execute": "block_resize", "arguments": {"node-name": "f", "size": 9223372036854775296}}',
      '{"execute": "block_resize", "arguments": {"node-name": "f", "size": 9223372035781033984}}',
      '{"execute": "block_resize", "arguments": {"node-name": "f", "size": 9223372035781033985}}',
      '{"execute": "block_resize", "arguments": {"node-name": "f", "size": 9223372036854775808}}',
      { 'read-file': { file: 'disk.raw', offset: 0, length: 4096, hex: '' } },
    ],
  },
  'what cannot be resized': {
    server: 'system',
    files,
    steps: [
      addFd('r:disk.raw', 1),
      addFd('rw:disk.raw', 1),
      add({ ...file, ...readOnly }),
      request('block_resize', { 'node-name': 'f', size: 512 }),
      add({ ...raw, ...readOnly }),
      request('block_resize', { 'node-name': 'r', size: 512 }),
      del('r'),
      del('f'),
      add(file),
      add({ ...raw, offset: 512 }),
      request('block_resize', { 'node-name': 'r', size: 1024 }),
      nodes,
      add({ ...raw, 'node-name': 's', size: 512 }),
      request('block_resize', { 'node-name': 's', size: 1024 }),
      request('block_resize', { 'node-name': 'f', size: 4096 }),
      del('s'),
      del('r'),
      add({ driver: 'null-co', 'node-name': 'z', 'read-zeroes': true }),
      request('block_resize', { 'node-name': 'z', size: 1024 }),
      startNbd,
      exportNode('f', true),
      request('block_resize', { 'node-name': 'f', size: 8192 }),
      { send: request('block-export-del', { id: 'e-f' }), expect: [{}, {}] },
      request('block_resize', { 'node-name': 'f', size: 8192 }),
      nodes,
    ],
  },
  'what cannot be reopened': {
    server: 'system',
    files,
    steps: [
      addFd('rw:disk.raw', 1),
      add(file),
      add(raw),
      reopen({ driver: 'file', filename: '/dev/fdset/1' }),
      reopen({ ...file, 'node-name': 'none' }),
      reopen({ ...file, filename: '/dev/fdset/2' }),
      reopen({ driver: 'file', 'node-name': 'f' }),
      reopen({ ...file, driver: 'host_device' }),
      reopen({ driver: 'null-co', 'node-name': 'f' }),
      reopen({ ...file, locking: 'off' }),
      reopen({ ...file, 'force-share': true }),
      reopen({ ...file, 'detect-zeroes': 'unmap' }),
      reopen({ ...file, discard: 'unmap', 'detect-zeroes': 'unmap' }),
      nodes,
      reopen({ ...raw, file: 'none' }),
      reopen({ ...raw, file: 'r' }),
      reopen({ driver: 'raw', 'node-name': 'r' }),
      reopen(file, raw, { ...file, 'node-name': 'none' }),
      reopen(file, file),
      request('blockdev-reopen', { options: [1] }),
      request('blockdev-reopen', { options: {} }),
      request('blockdev-reopen', {}),
      nodes,
      fdsets,
    ],
  },
};

for (const qemu of qemuVersions) {
  suite(`over fd sets of ${qemu.name}`, { skip: qemu.missing }, () => {
    for (const [name, script] of Object.entries(scripts)) {
      test(name, () => assertSameAnswers(script, qemu));
    }
  });
}
