import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O,
  allocateIoBuffer,
  blkDiscard,
  blkZeroout,
  blockDeviceGeometry,
  blockDeviceSize,
  close,
  directIoAlignment,
  fallocate,
  fdatasync,
  fsType,
  fstat,
  ftruncate,
  getCloseOnExec,
  ofdLock,
  ofdTestLock,
  open,
  pread,
  pwrite,
  seekData,
  seekHole,
} from '../../src/addon/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

// Not /tmp: a tmpfs there would know less than the disk.
const folder = mkdtempSync(join(process.cwd(), 'build', 'io-pool-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
async function withFile(
  bytes: string | Uint8Array,
  use: (fd: number, path: string) => Promise<void>,
  flags = O.O_RDWR,
) {
  const path = join(folder, `file-${++files}`);
  writeFileSync(path, bytes);
  const fd = openSync(path, flags);
  try {
    await use(fd, path);
  } finally {
    closeSync(fd);
  }
}

test('pread fills the array from the position and says how much it got', () =>
  withFile('0123456789', async (fd) => {
    const bytes = Buffer.alloc(8, '.');
    assert.equal(await pread(fd, bytes.subarray(2, 6), 3), 4);
    assert.equal(bytes.toString(), '..3456..');
    assert.equal(await pread(fd, bytes, 7), 3);
    assert.equal(bytes.toString(), '789456..');
    assert.equal(await pread(fd, bytes, 10), 0);
    assert.equal(await pread(fd, Buffer.alloc(0), 0), 0);
  }));

test('pwrite writes at the position, with and without dsync', () =>
  withFile('0123456789', async (fd, path) => {
    assert.equal(await pwrite(fd, Buffer.from('abc'), 2), 3);
    assert.equal(await pwrite(fd, Buffer.from('xyz'), 9, { dsync: true }), 3);
    assert.equal(readFileSync(path, 'latin1'), '01abc5678xyz');
    assert.equal(await pwrite(fd, Buffer.from('!'), 2 ** 32 + 1, { dsync: true }), 1);
    assert.equal(fstatSync(fd).size, 2 ** 32 + 2);
  }));

test('pwrite takes the bytes at the call: what is done to the array later does not matter', () =>
  withFile('', async (fd, path) => {
    const bytes = Buffer.alloc(100_000, 'a');
    const written = pwrite(fd, bytes, 0);
    bytes.fill('b');
    assert.equal(await written, 100_000);
    assert.equal(readFileSync(path, 'latin1'), 'a'.repeat(100_000));
  }));

test('memory of allocateIoBuffer is zeroed and aligned, and is read and written without a copy', () =>
  withFile('0123456789', async (fd, path) => {
    const memory = allocateIoBuffer(64);
    assert.deepEqual(memory, new Uint8Array(64));
    assert.equal(await pread(fd, memory.subarray(10, 15), 2), 5);
    assert.equal(Buffer.from(memory).toString('latin1', 9, 16), '\x0023456\x00');
    memory.fill(0x7a);
    assert.equal(await pwrite(fd, memory.subarray(60), 0), 4);
    assert.equal(readFileSync(path, 'latin1'), 'zzzz456789');
    assert.throws(() => allocateIoBuffer(0), TypeError);
    assert.throws(() => allocateIoBuffer(-1), TypeError);
  }));

// In Node 20, but in TypeScript's library from ES2024 on.
const ResizableBuffer = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(size: number): void };

test('an array whose memory was taken away while the call ran gets nothing', () =>
  withFile('0123456789', async (fd) => {
    const bytes = new Uint8Array(8);
    const reading = pread(fd, bytes, 0);
    const moved = structuredClone(bytes, { transfer: [bytes.buffer] });
    assert.equal(await reading, 8);
    assert.deepEqual(moved, new Uint8Array(8));

    const shrinking = new ResizableBuffer(8, { maxByteLength: 8 });
    const shrunk = pread(fd, new Uint8Array(shrinking), 0);
    shrinking.resize(3);
    assert.equal(await shrunk, 8);
    assert.equal(Buffer.from(shrinking).toString(), '012');
  }));

test('memory of allocateIoBuffer stays where it is when it is sent to another thread', () => {
  const memory = allocateIoBuffer(8);
  try {
    structuredClone(memory, { transfer: [memory.buffer as ArrayBuffer] });
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError'); // since Node 21; before, it is copied
  }
  assert.equal(memory.length, 8);
});

test('hundreds of calls at once each get their own data', () => {
  const size = 8192;
  const contents = Buffer.alloc(500 * size);
  for (let block = 0; block < 500; block++) contents.fill(`block ${block};`, block * size, (block + 1) * size);
  return withFile(contents, async (fd) => {
    const reads = Array.from({ length: 500 }, async (_, block) => {
      const bytes = block % 2 === 0 ? Buffer.alloc(size) : allocateIoBuffer(size);
      assert.equal(await pread(fd, bytes, block * size), size);
      assert.ok(Buffer.compare(bytes, contents.subarray(block * size, (block + 1) * size)) === 0, `block ${block}`);
      await pwrite(fd, bytes, (block + 500) * size);
    });
    await Promise.all(reads);
    const copy = Buffer.alloc(contents.length);
    assert.equal(await pread(fd, copy, contents.length), contents.length);
    assert.ok(copy.equals(contents));
  });
});

test('a failing call rejects with the errno and the name of the call', async () => {
  const fd = openSync('/dev/null', 'r');
  await assert.rejects(pwrite(fd, Buffer.from('x'), 0), { name: 'SystemError', errnoName: 'EBADF', syscall: 'pwrite' });
  await assert.rejects(open(join(folder, 'nowhere'), O.O_RDONLY), { errnoName: 'ENOENT', syscall: 'open' });
  await assert.rejects(blockDeviceSize(fd), { errnoName: 'ENOTTY', syscall: 'ioctl' });
  await assert.rejects(blockDeviceGeometry(fd), { errnoName: 'ENOTTY' });
  await assert.rejects(blkDiscard(fd, 0, 512), { syscall: 'ioctl' });
  await assert.rejects(blkZeroout(fd, 0, 512), { syscall: 'ioctl' });
  closeSync(fd);
  await assert.rejects(close(fd), { errnoName: 'EBADF', syscall: 'close' });
});

test('a wrong type rejects before any system call', async () => {
  await assert.rejects(pread(-1, Buffer.alloc(1), 0), TypeError);
  await assert.rejects(pread(0, 'text' as unknown as Uint8Array, 0), TypeError);
  await assert.rejects(pread(0, new Float64Array(4) as unknown as Uint8Array, 0), TypeError);
  for (const position of [-1, 0.5, Number.NaN, 2 ** 53]) {
    await assert.rejects(pread(0, Buffer.alloc(1), position), TypeError);
  }
  await assert.rejects(open('a\0b', O.O_RDONLY), TypeError);
});

test('open gives a close-on-exec fd, and close closes it', async () => {
  const path = join(folder, 'opened');
  const fd = await open(path, O.O_RDWR | O.O_CREAT | O.O_EXCL, 0o640);
  assert.equal(getCloseOnExec(fd), true);
  assert.equal(fstatSync(fd).mode & 0o777, 0o640);
  await close(fd);
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
});

test('fstat and fsType agree with Node', () =>
  withFile('hello', async (fd) => {
    const status = await fstat(fd);
    const expected = fstatSync(fd, { bigint: true });
    assert.deepEqual(status, {
      dev: expected.dev,
      ino: expected.ino,
      mode: Number(expected.mode),
      nlink: 1,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      rdev: 0n,
      size: 5,
      blockSize: Number(expected.blksize),
      blocks: Number(expected.blocks),
    });
    const proc = openSync('/proc/self/status', 'r');
    assert.equal(await fsType(proc), 0x9fa0);
    closeSync(proc);
  }));

test('fallocate, seekData, seekHole and ftruncate shape a file', (t) =>
  withFile('', async (fd, path) => {
    await ftruncate(fd, 1 << 20);
    assert.equal(fstatSync(fd).size, 1 << 20);
    await assert.rejects(seekData(fd, 0), { errnoName: 'ENXIO', syscall: 'lseek' });
    assert.equal(await seekHole(fd, 0), 0);
    await pwrite(fd, Buffer.alloc(65536, 'x'), 131072);
    await fdatasync(fd);
    assert.equal(await seekData(fd, 0), 131072);
    assert.equal(await seekHole(fd, 131072), 196608);
    await assert.rejects(seekHole(fd, 1 << 20), { errnoName: 'ENXIO' });
    try {
      await fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 131072, 32768);
      await fallocate(fd, FALLOC_FL_ZERO_RANGE, 163840, 4096);
    } catch (error) {
      assert.equal((error as { errnoName: string }).errnoName, 'EOPNOTSUPP');
      t.skip('this file system cannot punch holes');
      return;
    }
    assert.ok((await seekData(fd, 0)) >= 163840);
    const bytes = readFileSync(path);
    assert.equal(bytes[163840 + 4095], 0);
    assert.equal(bytes[163840 + 4096], 0x78);
  }));

test('locks belong to the open file description', () =>
  withFile('', async (fd, path) => {
    const other = openSync(path, 'r+');
    await ofdLock(fd, 'write', 100, 1);
    assert.equal(await ofdTestLock(fd, 'write', 100, 1), false);
    assert.equal(await ofdTestLock(other, 'read', 100, 1), true);
    assert.equal(await ofdTestLock(other, 'read', 101, 1), false);
    await assert.rejects(ofdLock(other, 'read', 0, 0), { errnoName: 'EAGAIN', syscall: 'fcntl' });
    await ofdLock(fd, 'unlock', 100, 1);
    await ofdLock(fd, 'read', 100, 1);
    assert.equal(await ofdTestLock(other, 'read', 100, 1), false);
    assert.equal(await ofdTestLock(other, 'write', 100, 1), true);
    closeSync(other);
  }));

test('direct I/O works with any array, given the alignment that directIoAlignment tells', (t) =>
  withFile(Buffer.alloc(8192, 'd'), async (fd, path) => {
    const alignment = await directIoAlignment(fd);
    let direct: number;
    try {
      direct = await open(path, O.O_RDONLY | O.O_DIRECT);
    } catch {
      t.skip('this file system has no O_DIRECT');
      return;
    }
    assert.ok(alignment.memory > 0 && alignment.offset > 0);
    const bytes = new Uint8Array(new ArrayBuffer(8192 + 1), 1, 4096);
    assert.equal(await pread(direct, bytes, 4096), 4096);
    assert.ok(Buffer.from(bytes).equals(Buffer.alloc(4096, 'd')));
    await close(direct);
  }));

test('a block device tells its size and geometry, zeroes and discards', async (t) => {
  const image = join(folder, 'device');
  writeFileSync(image, Buffer.alloc(1 << 20, 'b'));
  let device: string;
  try {
    device = execFileSync('losetup', ['--find', '--show', image], { stdio: 'pipe' }).toString().trim();
  } catch {
    t.skip('losetup cannot make a loop device here');
    return;
  }
  const fd = openSync(device, 'r+');
  try {
    assert.equal(await blockDeviceSize(fd), 1 << 20);
    const geometry = await blockDeviceGeometry(fd);
    assert.equal(geometry.logicalBlockSize, 512);
    assert.ok(geometry.physicalBlockSize >= 512);
    assert.equal(typeof geometry.maxDiscard, 'number');
    assert.ok((await directIoAlignment(fd)).offset >= 512);
    await blkZeroout(fd, 4096, 4096);
    const bytes = Buffer.alloc(8192);
    await pread(fd, bytes, 0);
    assert.ok(bytes.equals(Buffer.concat([Buffer.alloc(4096, 'b'), Buffer.alloc(4096)])));
    if (geometry.maxDiscard !== 0) await blkDiscard(fd, 0, 4096);
    await assert.rejects(blkZeroout(fd, 1, 512), { errnoName: 'EINVAL' });
  } finally {
    closeSync(fd);
    execFileSync('losetup', ['--detach', device]);
  }
});
