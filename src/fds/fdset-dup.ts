// What was opened as /dev/fdset/N, and which of it shares one open file description? An fd's dups do, and so do the dups
// of two fds that are one file opened once and passed twice. OFD locks belong to the description: those who share one do
// not see each other's.
import { close, sameDescription } from '../addon/index.ts';
import type { OwnedFd } from './owned-fd.ts';

/** What a dup is made of. */
interface DupParts {
  readonly owned: OwnedFd;
  /** The fd of the set that it duplicates. */
  readonly source: OwnedFd;
  readonly holder: string;
  readonly filename: string;
}

/** An fd that was opened as `/dev/fdset/N`. It belongs to its holder, and keeps the set alive until it is closed. */
export class FdsetDup {
  /** Who holds it, for the ledger. */
  readonly holder: string;
  /** The name it was opened by. */
  readonly filename: string;
  readonly openedAt = Date.now();
  /** The same object for all dups that are known to share an open file description, and with it their OFD locks. */
  readonly description: object;
  /** The fd of the set that it duplicates, which may be closed by now. */
  readonly source: OwnedFd;
  readonly #owned: OwnedFd;
  readonly #release: (dup: FdsetDup) => void;

  /** Made by {@link FdsetTable.openDup} only. */
  constructor(parts: DupParts, description: object, release: (dup: FdsetDup) => void) {
    this.#owned = parts.owned;
    this.source = parts.source;
    this.description = description;
    this.holder = parts.holder;
    this.filename = parts.filename;
    this.#release = release;
  }

  /** The number, lent: valid until this is closed. */
  get fd(): number {
    return this.#owned.fd;
  }

  /**
   * Closes the fd and takes it out of its set, at once.
   * @throws FdsetError `ERR_FDSET_FD_GONE` the second time
   */
  close(): void {
    this.#release(this);
    this.#owned.close();
  }

  /** Takes the fd out of its set at once, and closes it on a thread: for files whose close may wait for a server. */
  async closeInPool(): Promise<void> {
    this.#release(this);
    await close(this.#owned.move());
  }
}

/** The dups that are open, of all sets. Opening one costs a system call for every description that is open. */
export class OpenDups {
  readonly #byDescription = new Map<object, Set<FdsetDup>>();

  /** Makes a dup known. */
  open(parts: DupParts, release: (dup: FdsetDup) => void): FdsetDup {
    const dup = new FdsetDup(parts, this.#descriptionOf(parts), (closed) => {
      this.#delete(closed);
      release(closed);
    });
    const sharing = this.#byDescription.get(dup.description);
    if (sharing === undefined) this.#byDescription.set(dup.description, new Set([dup]));
    else sharing.add(dup);
    return dup;
  }

  /** The others that share its open file description, oldest first. */
  sharing(dup: FdsetDup): FdsetDup[] {
    return [...(this.#byDescription.get(dup.description) ?? [])].filter((other) => other !== dup);
  }

  /** Where the kernel does not compare descriptions, those of two fds count as two. */
  #descriptionOf({ owned, source }: DupParts): object {
    for (const [description, dups] of this.#byDescription) {
      const [one] = dups;
      if (one !== undefined && sameDescription(one.fd, owned.fd) === true) return description;
      if ([...dups].some((dup) => dup.source === source)) return description;
    }
    return source;
  }

  #delete(dup: FdsetDup): void {
    const sharing = this.#byDescription.get(dup.description);
    sharing?.delete(dup);
    if (sharing?.size === 0) this.#byDescription.delete(dup.description);
  }
}
