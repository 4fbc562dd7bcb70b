// How are any bytes read and written where O_DIRECT takes whole blocks only? Short results are carried on with, and what
// is not aligned is padded to blocks. (The memory is aligned by the io pool, which gives the kernel pages of its own.)
import { constants } from 'node:os';

import { fstat, ftruncate, pread, pwrite, SystemError } from '../../addon/index.ts';
import type { RangeLock } from '../range-lock.ts';
import type { RequestOwner } from '../request-queue.ts';

/** Where one request goes. */
export interface IoTarget {
  readonly fd: number;
  /** Bytes; 1 without O_DIRECT. */
  readonly alignment: number;
  /** Who asked: nothing is read or written any more once it has left. */
  readonly owner: RequestOwner | undefined;
}

/** Fills `buffer`; what lies behind the end of the file is zeros. */
export async function readAligned(target: IoTarget, buffer: Uint8Array, offset: number): Promise<void> {
  const { start, end } = alignedRange(target, offset, buffer.length);
  if (end - start === buffer.length) return readBlocks(target, buffer, offset);
  const blocks = Buffer.alloc(end - start);
  await readBlocks(target, blocks, start);
  buffer.set(blocks.subarray(offset - start, offset - start + buffer.length));
}

/**
 * Writes `data`, after reading around it where its ends are not aligned. Such a write holds its blocks alone in `ranges`.
 * The file does not become longer than `length()`, in which the range lies.
 */
export function writeAligned(
  target: IoTarget,
  data: Uint8Array,
  offset: number,
  { dsync, ranges, length }: { dsync: boolean; ranges: RangeLock; length: () => number },
): Promise<void> {
  const { start, end } = alignedRange(target, offset, data.length);
  const isAligned = end - start === data.length;
  return ranges.hold(start, end, !isAligned, async () => {
    if (isAligned) return writeFully(target, data, offset, dsync);
    const blocks = await readAround(target, start, end, offset, data.length);
    blocks.set(data, offset - start);
    await writeFully(target, blocks, start, dsync);
    if (end > length()) await ftruncate(target.fd, length());
  });
}

function alignedRange({ alignment }: IoTarget, offset: number, length: number): { start: number; end: number } {
  return { start: offset - (offset % alignment), end: Math.ceil((offset + length) / alignment) * alignment };
}

/** The blocks from `start` to `end`, of which only the first and the last are read: the rest is to be overwritten. */
async function readAround(
  target: IoTarget,
  start: number,
  end: number,
  offset: number,
  length: number,
): Promise<Buffer> {
  const blocks = Buffer.alloc(end - start);
  const last = end - start - target.alignment;
  if (offset > start || last === 0) await readBlocks(target, blocks.subarray(0, target.alignment), start);
  if (offset + length < end && last > 0) await readBlocks(target, blocks.subarray(last), start + last);
  return blocks;
}

/** Fills `buffer`, whose range is aligned. */
async function readBlocks(target: IoTarget, buffer: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < buffer.length) {
    checkOwner(target);
    const count = await readSome(target, done === 0 ? buffer : buffer.subarray(done), offset + done);
    if (count === 0) break;
    done += count;
  }
  if (done < buffer.length) buffer.fill(0, done);
}

/** Bytes read, 0 at the end of the file, which with O_DIRECT may cut a block: reading on from there is EINVAL. */
async function readSome({ fd, alignment }: IoTarget, buffer: Uint8Array, offset: number): Promise<number> {
  try {
    return await pread(fd, buffer, offset);
  } catch (error) {
    const isCut = offset % alignment !== 0 && error instanceof SystemError && error.errnoName === 'EINVAL';
    if (isCut && offset >= (await fstat(fd)).size) return 0;
    throw error;
  }
}

async function writeFully(target: IoTarget, data: Uint8Array, offset: number, dsync: boolean): Promise<void> {
  let done = 0;
  while (done < data.length) {
    checkOwner(target);
    const count = await pwrite(target.fd, done === 0 ? data : data.subarray(done), offset + done, { dsync });
    if (count === 0) throw new SystemError(constants.errno.EIO, 'pwrite');
    done += count;
  }
}

/** Between two system calls of one request: nobody may write any more whom the graph believes gone. */
function checkOwner({ owner }: IoTarget): void {
  if (owner?.abandoned === true) throw new SystemError(constants.errno.ECANCELED, 'block request');
}
