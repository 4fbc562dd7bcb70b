// QEMU's own NBD client: qemu-img and qemu-io.
import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { missing, run, succeed } from '../programs.ts';
import { ServedImage } from './served-image.ts';

checkOpenFds();
const noImg = missing('qemu-img');
const noIo = missing('qemu-io');
const SIZE = 32 << 20;

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

test('qemu-img info tells the size', { skip: noImg }, async () => {
  const served = await ServedImage.start({ size: SIZE, writable: false });
  try {
    const info = JSON.parse(await succeed('qemu-img', ['info', '--output=json', served.uri])) as Record<
      string,
      unknown
    >;
    assert.deepEqual([info['format'], info['virtual-size']], ['raw', SIZE]);
  } finally {
    await served.close();
  }
});

test('qemu-img convert writes and reads, and compare finds no difference', { skip: noImg }, async () => {
  const served = await ServedImage.start({ size: SIZE });
  try {
    const content = Buffer.alloc(SIZE);
    randomFillSync(content, 1 << 20, 7 << 20);
    randomFillSync(content, SIZE - 70_000);
    const source = served.path('in.raw');
    writeFileSync(source, content);
    await succeed('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', source, served.uri]);
    assert.equal(sha256(served.image), sha256(source));
    await succeed('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', source, served.uri]);
    const back = served.path('out.qcow2');
    await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', served.uri, back]);
    await succeed('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', served.uri, back]);
    const map = JSON.parse(await succeed('qemu-img', ['map', '--output=json', '-f', 'raw', served.uri])) as {
      zero: boolean;
    }[];
    assert.ok(map.length > 1 && map.some(({ zero }) => zero));
  } finally {
    await served.close();
  }
});

test('qemu-io verifies the patterns it wrote', { skip: noIo }, async () => {
  const served = await ServedImage.start({ size: SIZE });
  try {
    const commands = [
      'write -P 0xab 0 64k',
      'write -f -P 0xcd 1000 3000',
      'read -P 0xab 0 1000',
      'read -P 0xcd 1000 3000',
      'read -P 0xab 4000 61536',
      'aio_write -P 0x11 1M 4M',
      'aio_write -P 0x22 5M 4M',
      'aio_flush',
      'read -P 0x11 1M 4M',
      'read -P 0x22 5M 4M',
      'write -z 2M 1M',
      'read -P 0 2M 1M',
      'write -z -u 3M 1M',
      'read -P 0 3M 1M',
      'read -P 0x11 4M 1M',
      'discard 8M 1M',
      'writev -P 0x33 10M 512 1024 4096',
      'read -P 0x33 10M 5632',
      'write -P 0x44 10M 20M',
      'read -P 0x44 10M 20M',
      'flush',
    ];
    const args = commands.flatMap((command) => ['-c', command]);
    const { status, stdout, stderr } = await run('qemu-io', ['-f', 'raw', ...args, served.uri]);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout + stderr, /verification failed|error|Invalid/i);
    const image = readFileSync(served.image);
    assert.ok(image.subarray(10 << 20, 30 << 20).every((byte) => byte === 0x44));
  } finally {
    await served.close();
  }
});

test('qemu-io cannot write to a read-only export', { skip: noIo }, async () => {
  const served = await ServedImage.start({ size: SIZE, writable: false });
  try {
    const writing = await run('qemu-io', ['-f', 'raw', '-c', 'write 0 512', served.uri]);
    assert.notEqual(writing.status, 0);
    await succeed('qemu-io', ['-r', '-f', 'raw', '-c', 'read -P 0 0 512', served.uri]);
  } finally {
    await served.close();
  }
});

test('with O_DIRECT below qemu-io may still read and write what is not aligned', { skip: noIo }, async () => {
  const served = await ServedImage.start({ size: SIZE, direct: true });
  try {
    const args = ['write -P 7 100 1000', 'read -P 7 100 1000', 'read -P 0 0 100', 'read -P 0 1100 1000'];
    const { status, stdout, stderr } = await run('qemu-io', [
      '-f',
      'raw',
      ...args.flatMap((command) => ['-c', command]),
      served.uri,
    ]);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout + stderr, /failed|error/i);
  } finally {
    await served.close();
  }
});
