// In which order does QEMU print the members of an object? In that of its hash table: 512 buckets by a hash of the
// name, and within a bucket the member inserted last comes first. Checked against every object of the transcripts.

const BUCKETS = 512;

/** The bucket of a member's name. */
export function bucketOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit === 0 || unit > 0x7f) return bucketOfBytes(modifiedUtf8(name));
    hash = (hash + (unit << ((5 * i) % 24))) | 0;
  }
  return bucket(hash, name.length);
}

/** Names, given in the order of their insertion, in the order in which QEMU prints them. */
export function inQemuOrder(names: Iterable<string>): string[] {
  const members = Array.from(names, (name) => ({ name, bucket: bucketOf(name) })).reverse();
  // The sort is stable, so what was inserted last stays first.
  return members.sort((a, b) => a.bucket - b.bucket).map((member) => member.name);
}

function bucketOfBytes(bytes: readonly number[]): number {
  let hash = 0;
  bytes.forEach((byte, i) => {
    hash = (hash + (byte << ((5 * i) % 24))) | 0;
  });
  return bucket(hash, bytes.length);
}

function bucket(hash: number, length: number): number {
  const value = (Math.imul(0x238f13af, length) + hash) | 0;
  return ((Math.imul(1103515243, value) + 12345) >>> 0) % BUCKETS;
}

/** The bytes of a string in QEMU's memory: U+0000 is C0 80. */
export function modifiedUtf8(name: string): number[] {
  return [...Buffer.from(name)].flatMap((byte) => (byte === 0 ? [0xc0, 0x80] : [byte]));
}
