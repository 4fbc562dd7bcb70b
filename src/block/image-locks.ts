// Who else has this image open, in this process or another, QEMU or ours? OFD locks on single bytes say it.
//
// A node holds a read lock on byte 100+i for each permission i that its users need, and on byte 200+i for each that they
// do not share. It conflicts with somebody who has a lock on the opposite byte. Source: fdset.md §9, QEMU's own locks.
//
// OFD locks belong to the open file description. Two nodes whose fds are duplicates of one member of a set share theirs:
// they never conflict, and the locks stay until the last of them lets go, so the holders are counted per description.
import { ofdLock, ofdTestLock, SystemError, strerror } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import type { HeldFile } from './held-file.ts';
import { allPermissions, listPermissions, type PermissionClaim } from './permissions.ts';

const neededBase = 100;
const unsharedBase = 200;

/** The bytes that a node with this claim has locked, ascending. Pure. */
export function lockBytes(claim: PermissionClaim): number[] {
  const needed = listPermissions(claim.permissions).map(([bit]) => neededBase + Math.log2(bit));
  const unshared = listPermissions(allPermissions & ~claim.shared).map(([bit]) => unsharedBase + Math.log2(bit));
  return [...needed, ...unshared];
}

/** The bytes that must not be locked by others for this claim to hold, with the text for when they are. Pure. */
export function conflictingBytes(claim: PermissionClaim): { byte: number; message: string }[] {
  const needed = listPermissions(claim.permissions).map(([bit, name]) => ({
    byte: unsharedBase + Math.log2(bit),
    message: `Failed to get "${name}" lock`,
  }));
  const unshared = listPermissions(allPermissions & ~claim.shared).map(([bit, name]) => ({
    byte: neededBase + Math.log2(bit),
    message: `Failed to get shared "${name}" lock`,
  }));
  return [...needed, ...unshared];
}

/** For each open file description the locked bytes and how many nodes want each of them. */
const holders = new WeakMap<object, Map<number, number>>();

/** The locks of one node on one open file. */
export class ImageLocks {
  readonly #file: HeldFile;
  readonly #held = new Set<number>();

  constructor(file: HeldFile) {
    this.#file = file;
  }

  /**
   * Adds the locks of `claim` to those held and, where that gains any, looks for others in the way. After a failure it
   * holds what it held before.
   * @throws FdsetError `Failed to get "write" lock` and the like.
   */
  async acquire(claim: PermissionClaim): Promise<void> {
    const gained = lockBytes(claim).filter((byte) => !this.#held.has(byte));
    if (gained.length === 0) return;
    try {
      for (const byte of gained) await this.#lock(byte);
      for (const { byte, message } of conflictingBytes(claim)) await this.#checkByte(byte, message);
    } catch (error) {
      await this.#unlock(gained);
      throw error;
    }
  }

  /** Takes the locks of `claim` without a look at others: the node has checked them on the file that it leaves. */
  async copy(claim: PermissionClaim): Promise<void> {
    for (const byte of lockBytes(claim)) await this.#lock(byte);
  }

  /** Lets go of all locks that `claim` does not need, or of all. Never throws. */
  async release(claim?: PermissionClaim): Promise<void> {
    const kept = new Set(claim === undefined ? [] : lockBytes(claim));
    await this.#unlock([...this.#held].filter((byte) => !kept.has(byte)));
  }

  async #lock(byte: number): Promise<void> {
    const counts = this.#counts();
    // Counted first: somebody who lets go of the same byte meanwhile must not unlock it.
    counts.set(byte, (counts.get(byte) ?? 0) + 1);
    this.#held.add(byte);
    try {
      await this.#file.use((fd) => ofdLock(fd, 'read', byte, 1));
    } catch (error) {
      const reason = error instanceof SystemError && error.errnoName !== 'EAGAIN' ? `: ${strerror(error.errno)}` : '';
      throw new FdsetError('ERR_FDSET_IMAGE_LOCK', `Failed to lock byte ${byte}${reason}`, { cause: error });
    }
  }

  async #unlock(bytes: readonly number[]): Promise<void> {
    const counts = this.#counts();
    for (const byte of bytes) {
      if (!this.#held.delete(byte)) continue;
      const left = (counts.get(byte) ?? 1) - 1;
      counts.set(byte, left);
      // What cannot be unlocked goes with the description.
      if (left === 0) await this.#file.use((fd) => ofdLock(fd, 'unlock', byte, 1)).catch(() => undefined);
    }
  }

  async #checkByte(byte: number, message: string): Promise<void> {
    const conflict = await this.#file.use((fd) => ofdTestLock(fd, 'write', byte, 1));
    if (conflict) throw new FdsetError('ERR_FDSET_IMAGE_LOCK', message);
  }

  #counts(): Map<number, number> {
    let counts = holders.get(this.#file.description);
    if (counts === undefined) holders.set(this.#file.description, (counts = new Map()));
    return counts;
  }
}
