// How does a run of ASCII bytes become a string cheaply? Names and short values come again and again: they are found
// by their bytes in a small cache, so that no string is made and Map lookups meet a string whose hash is known.

const SLOTS = 1024;
const LONGEST = 32;
const cached: string[] = Array.from({ length: SLOTS }, () => '');

/**
 * The string of ASCII bytes, from the cache where it has it. The cache is shared by the process and never grows: 1024
 * strings of at most 32 characters, the last one per slot.
 *
 * @param hash over the bytes, as the lexer computes it: `hash * 31 + byte` in 32 bits, from 0.
 */
export function internAscii(bytes: Uint8Array, start: number, end: number, hash: number): string {
  const length = end - start;
  if (length > LONGEST) return sliceAscii(bytes, start, end);
  const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (SLOTS - 1);
  const candidate = cached[slot] as string;
  if (candidate.length === length) {
    let i = 0;
    while (i < length && candidate.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return candidate;
  }
  return (cached[slot] = sliceAscii(bytes, start, end));
}

/** The string of ASCII bytes. */
export function sliceAscii(bytes: Uint8Array, start: number, end: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('latin1', start, end);
}
