// What does the disk's allocation look like on the wire? Extents of the block layer in, descriptors or parts of a read
// out.
import { NBD_STATE_HOLE, NBD_STATE_ZERO } from './constants.ts';

/** One run of equal blocks, in bytes. */
export interface Extent {
  readonly length: number;
  /** Not allocated. */
  readonly hole: boolean;
  /** Reads as zeroes. */
  readonly zero: boolean;
}

/** A part of a READ: data that is read from the disk, or zeroes that need not be. */
export interface ReadPart {
  readonly offset: number;
  readonly length: number;
  readonly zero: boolean;
}

/** The most descriptors in one answer; a client asks again behind the last. */
export const MAX_EXTENTS = 4096;
const DESCRIPTOR_SIZE = 8;

/** The length of the descriptors of `count` extents, in bytes. */
export function descriptorBytes(count: number): number {
  return Math.min(count, MAX_EXTENTS) * DESCRIPTOR_SIZE;
}

/**
 * Writes base:allocation descriptors of `extents` into `target` and returns how many bytes they take. Neighbours of
 * equal state become one, empty extents vanish, and nothing reaches beyond `length`, the length asked for.
 * @throws Error where the extents tell nothing, which no disk may do
 */
export function writeDescriptors(target: Buffer, extents: readonly Extent[], length: number, one: boolean): number {
  let end = 0;
  let left = length;
  let previous = -1;
  for (const extent of extents) {
    const part = Math.min(extent.length, left);
    if (part <= 0) continue;
    const state = (extent.hole ? NBD_STATE_HOLE : 0) | (extent.zero ? NBD_STATE_ZERO : 0);
    if (state === previous) {
      target.writeUInt32BE(target.readUInt32BE(end - DESCRIPTOR_SIZE) + part, end - DESCRIPTOR_SIZE);
    } else {
      if (end === (one ? DESCRIPTOR_SIZE : MAX_EXTENTS * DESCRIPTOR_SIZE)) break;
      target.writeUInt32BE(part, end);
      target.writeUInt32BE(state, end + 4);
      end += DESCRIPTOR_SIZE;
      previous = state;
    }
    left -= part;
  }
  if (end === 0) throw new Error('a block status without extents');
  return end;
}

/**
 * The parts of a READ of `length` bytes at `offset`: zeroes as `extents` say, data in pieces of at most `chunk` bytes.
 * What the extents do not cover is read. Neighbours of equal kind are one.
 */
export function readParts(offset: number, length: number, extents: readonly Extent[], chunk: number): ReadPart[] {
  const parts: ReadPart[] = [];
  const end = offset + length;
  let start = offset; // of the run that is being collected
  let at = offset;
  let zero = false;
  const closeRun = () => {
    while (start < at) {
      const part = zero ? at - start : Math.min(chunk, at - start);
      parts.push({ offset: start, length: part, zero });
      start += part;
    }
  };
  for (const extent of extents) {
    if (extent.length === 0) continue;
    if (extent.zero !== zero) closeRun();
    zero = extent.zero;
    at = Math.min(at + extent.length, end);
  }
  if (zero) closeRun();
  zero = false;
  at = end;
  closeRun();
  return parts;
}
