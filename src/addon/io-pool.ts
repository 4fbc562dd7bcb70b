// How does a program do file I/O that may block? Each call here runs on a thread of the addon's own pool, returns a
// promise, and rejects with SystemError. (libuv's pool is joined at exit: one read of a file whose server is gone would
// hold up process.exit. Nobody waits for these threads.)
//
// A call in flight keeps the event loop alive. Positions, lengths and sizes are bytes, integers up to 2^53 - 1; fds are
// borrowed, and must stay open until the promise is settled. The memory of a Uint8Array is not shared with the thread:
// its bytes are copied, except where it lies in memory of allocateIoBuffer.
import { loadAddon } from './load.ts';
import { SystemError } from './system-error.ts';

type OperationName =
  | 'open'
  | 'close'
  | 'pread'
  | 'pwrite'
  | 'fdatasync'
  | 'ftruncate'
  | 'fallocate'
  | 'seekData'
  | 'seekHole'
  | 'fstat'
  | 'fsType'
  | 'ofdLock'
  | 'ofdTestLock'
  | 'blockDeviceSize'
  | 'blockDeviceGeometry'
  | 'blkDiscard'
  | 'blkZeroout'
  | 'directIoAlignment';

interface IoPoolBinding {
  ioOperations: Readonly<Record<OperationName, number>>;
  ioStart(onComplete: (count: number) => void, completions: Float64Array): void;
  ioSubmit(
    operation: number,
    slot: number,
    fd: number,
    bytes: Uint8Array | undefined,
    first: number,
    second: number,
    third: number,
  ): number;
  allocateIoBuffer(size: number): ArrayBuffer;
}

/** A call in flight. */
interface Pending {
  readonly syscall: string;
  readonly resolve: (result: number) => void;
  readonly reject: (error: SystemError) => void;
}

const binding = loadAddon() as IoPoolBinding;
const operations = binding.ioOperations;

// The addon knows a call by its slot, and reports up to 256 at a time as pairs of slot and result.
const slots: (Pending | undefined)[] = [];
const freeSlots: number[] = [];
const completions = new Float64Array(2 * 256);
binding.ioStart(onComplete, completions);

function onComplete(count: number): void {
  for (let index = 0; index < count; index++) {
    settle(completions[2 * index] ?? 0, completions[2 * index + 1] ?? 0);
  }
}

function settle(slot: number, result: number): void {
  const pending = slots[slot];
  slots[slot] = undefined;
  freeSlots.push(slot);
  if (result < 0) pending?.reject(new SystemError(-result, pending.syscall));
  else pending?.resolve(result);
}

function run(
  operation: number,
  syscall: string,
  fd: number,
  bytes?: Uint8Array,
  first = 0,
  second = 0,
  third = 0,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const slot = freeSlots.pop() ?? slots.length;
    slots[slot] = { syscall, resolve, reject };
    try {
      const result = binding.ioSubmit(operation, slot, fd, bytes, first, second, third);
      if (result < 0) settle(slot, result);
    } catch (error) {
      slots[slot] = undefined;
      freeSlots.push(slot);
      throw error; // a wrong type: the promise rejects with it
    }
  });
}

/**
 * Zeroed, page-aligned memory that the pool's threads work on directly: reads and writes of arrays in it are not
 * copied. It is freed when neither JavaScript nor a call holds it.
 */
export function allocateIoBuffer(size: number): Uint8Array {
  return new Uint8Array(binding.allocateIoBuffer(size));
}

/**
 * Reads at `position` into `buffer`, and resolves to the number of bytes: fewer than asked for at the end of the file
 * (0 behind it) or where the kernel likes; pread(2).
 */
export function pread(fd: number, buffer: Uint8Array, position: number): Promise<number> {
  return run(operations.pread, 'pread', fd, buffer, position);
}

/**
 * Writes `buffer` at `position`, and resolves to the number of bytes written, which may be fewer; pwrite(2). With
 * `dsync` they have reached the disk by then, with the metadata needed to find them (RWF_DSYNC).
 */
export function pwrite(
  fd: number,
  buffer: Uint8Array,
  position: number,
  options: { readonly dsync?: boolean } = {},
): Promise<number> {
  return run(operations.pwrite, 'pwrite', fd, buffer, position, options.dsync === true ? 1 : 0);
}

/** Brings all data of the file to the disk; fdatasync(2). */
export async function fdatasync(fd: number): Promise<void> {
  await run(operations.fdatasync, 'fdatasync', fd);
}

/** Sets the size of the file; ftruncate(2). */
export async function ftruncate(fd: number, size: number): Promise<void> {
  await run(operations.ftruncate, 'ftruncate', fd, undefined, size);
}

/** The modes of fallocate(2); the numbers are those of linux/falloc.h on every machine. */
export const FALLOC_FL_KEEP_SIZE = 0x01;
/** Together with FALLOC_FL_KEEP_SIZE only. */
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_ZERO_RANGE = 0x10;

/** Allocates, zeroes or punches a range, as `mode` says; fallocate(2). Rejects with EOPNOTSUPP where it cannot. */
export async function fallocate(fd: number, mode: number, offset: number, length: number): Promise<void> {
  await run(operations.fallocate, 'fallocate', fd, undefined, mode, offset, length);
}

/**
 * The first position from `offset` on that holds data; lseek(2) SEEK_DATA. Rejects with ENXIO where there is none. Moves
 * the offset of the open file description.
 */
export function seekData(fd: number, offset: number): Promise<number> {
  return run(operations.seekData, 'lseek', fd, undefined, offset);
}

/**
 * The first position from `offset` on that is a hole, the end of the file counting as one; lseek(2) SEEK_HOLE. Rejects
 * with ENXIO behind the end. Moves the offset of the open file description.
 */
export function seekHole(fd: number, offset: number): Promise<number> {
  return run(operations.seekHole, 'lseek', fd, undefined, offset);
}

/** What fstat(2) tells of a file. */
export interface FileStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  /** Type and permissions: `mode & constants.S_IFMT` of node:fs is the type. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a device file: which device. */
  readonly rdev: bigint;
  /** Bytes; 0 for a block device. */
  readonly size: number;
  /** The preferred size of a read or write, in bytes. */
  readonly blockSize: number;
  /** Allocated, in units of 512 bytes. */
  readonly blocks: number;
}

/** fstat(2). */
export async function fstat(fd: number): Promise<FileStatus> {
  const [dev, ino, mode, nlink, uid, gid, rdev, size, blockSize, blocks] = await runForNumbers('fstat', fd, 10);
  return {
    dev: BigInt.asUintN(64, dev ?? 0n),
    ino: BigInt.asUintN(64, ino ?? 0n),
    mode: Number(mode),
    nlink: Number(nlink),
    uid: Number(uid),
    gid: Number(gid),
    rdev: BigInt.asUintN(64, rdev ?? 0n),
    size: Number(size),
    blockSize: Number(blockSize),
    blocks: Number(blocks),
  };
}

/** The magic number of the file system that the file is on (statfs(2) lists them); fstatfs(2). */
export function fsType(fd: number): Promise<number> {
  return run(operations.fsType, 'fstatfs', fd);
}

/** Opens a file, close-on-exec; open(2). The caller owns the fd. */
export function open(path: string, flags: number, mode = 0o666): Promise<number> {
  if (path.includes('\0')) return Promise.reject(new TypeError('a path cannot contain U+0000'));
  return run(operations.open, 'open', 0, Buffer.from(`${path}\0`), flags, mode);
}

/**
 * Closes an fd; close(2). The number must not be used from the call on. For an fd whose close may wait for a server;
 * `closeFd` is the one for all others.
 */
export async function close(fd: number): Promise<void> {
  await run(operations.close, 'close', fd);
}

/** How a lock is numbered for the addon. */
const lockTypes = { read: 0, write: 1, unlock: 2 } as const;

/**
 * Takes or releases a lock that belongs to the open file description; fcntl(2) F_OFD_SETLK. Does not wait: rejects with
 * EAGAIN where another description's lock is in the way. A length of 0 means to the end of the file and beyond.
 */
export async function ofdLock(fd: number, type: keyof typeof lockTypes, start: number, length: number): Promise<void> {
  await run(operations.ofdLock, 'fcntl', fd, undefined, lockTypes[type], start, length);
}

/** Whether another open file description holds a lock that would be in the way; fcntl(2) F_OFD_GETLK. */
export async function ofdTestLock(fd: number, type: 'read' | 'write', start: number, length: number): Promise<boolean> {
  return (await run(operations.ofdTestLock, 'fcntl', fd, undefined, lockTypes[type], start, length)) !== 0;
}

/** The size of a block device in bytes; ioctl BLKGETSIZE64. Rejects with ENOTTY for another file. */
export function blockDeviceSize(fd: number): Promise<number> {
  return run(operations.blockDeviceSize, 'ioctl', fd);
}

/** What a block device says of itself, in bytes. A discard limit is undefined where sysfs cannot be read. */
export interface BlockDeviceGeometry {
  readonly logicalBlockSize: number;
  readonly physicalBlockSize: number;
  readonly minimumIo: number;
  /** 0: the device has no opinion. */
  readonly optimalIo: number;
  readonly discardGranularity: number | undefined;
  /** 0: the device cannot discard. */
  readonly maxDiscard: number | undefined;
  readonly maxWriteZeroes: number | undefined;
}

/** ioctl BLKSSZGET, BLKPBSZGET, BLKIOMIN, BLKIOOPT, and the queue's limits in sysfs. Rejects with ENOTTY. */
export async function blockDeviceGeometry(fd: number): Promise<BlockDeviceGeometry> {
  const numbers = await runForNumbers('blockDeviceGeometry', fd, 7, 'ioctl');
  const [logical, physical, minimum, optimal, granularity, maxDiscard, maxWriteZeroes] = numbers.map(Number);
  return {
    logicalBlockSize: logical ?? 0,
    physicalBlockSize: physical ?? 0,
    minimumIo: minimum ?? 0,
    optimalIo: optimal ?? 0,
    discardGranularity: ifKnown(granularity),
    maxDiscard: ifKnown(maxDiscard),
    maxWriteZeroes: ifKnown(maxWriteZeroes),
  };
}

/** Discards a range of a block device; its contents are undefined afterwards; ioctl BLKDISCARD. */
export async function blkDiscard(fd: number, offset: number, length: number): Promise<void> {
  await run(operations.blkDiscard, 'ioctl', fd, undefined, offset, length);
}

/** Zeroes a range of a block device, by a command of the device or by writing; ioctl BLKZEROOUT. */
export async function blkZeroout(fd: number, offset: number, length: number): Promise<void> {
  await run(operations.blkZeroout, 'ioctl', fd, undefined, offset, length);
}

/** What O_DIRECT wants aligned, in bytes. 0: the file cannot do direct I/O. */
export interface DirectIoAlignment {
  /** Addresses of buffers; memory of allocateIoBuffer is aligned to 4096. */
  readonly memory: number;
  /** Positions and lengths. */
  readonly offset: number;
}

/**
 * statx(2) STATX_DIOALIGN; where the kernel or the file system does not tell, the logical block size of a block device,
 * and 4096 for other files.
 */
export async function directIoAlignment(fd: number): Promise<DirectIoAlignment> {
  const [memory, offset] = await runForNumbers('directIoAlignment', fd, 2, 'statx');
  return { memory: Number(memory), offset: Number(offset) };
}

async function runForNumbers(operation: OperationName, fd: number, count: number, syscall: string = operation) {
  const numbers = new BigInt64Array(count);
  await run(operations[operation], syscall, fd, new Uint8Array(numbers.buffer));
  return [...numbers];
}

/** The addon says -1 for a limit that it could not read. */
function ifKnown(limit: number | undefined): number | undefined {
  return limit === -1 ? undefined : limit;
}
