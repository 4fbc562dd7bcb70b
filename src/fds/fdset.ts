// Which fds has the user given us, and who uses them? QEMU's monitor/fds.c: add-fd, remove-fd, query-fdsets, and the
// opening of /dev/fdset/N. What versions of QEMU do differently is in fdset-rules.ts.
import { constants } from 'node:os';

import { O, SystemError, getStatusFlags, setStatusFlags } from '../addon/index.ts';
import type { FdsetError } from '../errors.ts';
import { type FdsetDup, OpenDups } from './fdset-dup.ts';
import { negativeFdsetId, noSuchMember } from './fdset-errors.ts';
import type { DupRecord, FdOrigin, FdsetChange, FdsetRecord, MemberRecord } from './fdset-record.ts';
import { FDSET_RULES_10_0, type FdsetRules, type OpenFailure } from './fdset-rules.ts';
import { IdIndex } from './id-index.ts';
import type { Int64 } from './int64.ts';
import type { OwnedFd } from './owned-fd.ts';

/** What comes with an fd. */
export interface AddOptions {
  /** The set to add to, which is made if need be. By default a new one, with the lowest id that is free. */
  readonly fdsetId?: Int64 | undefined;
  /** The user's own description. */
  readonly opaque?: string | undefined;
  readonly addedBy?: FdOrigin | undefined;
}

/** A set as query-fdsets shows it (QAPI's FdsetInfo). */
export interface FdsetInfo {
  readonly 'fdset-id': Int64;
  /** The oldest first. */
  readonly fds: readonly { readonly fd: number; readonly opaque?: string }[];
}

interface Member {
  readonly owned: OwnedFd;
  readonly opaque: string | undefined;
  readonly addedAt: number;
  readonly addedBy: FdOrigin | undefined;
}

type Fail = (failure: OpenFailure) => FdsetError;

/** Lives while it has fds or dups. */
interface Fdset {
  readonly id: Int64;
  readonly fds: Member[];
  readonly dups: FdsetDup[];
  alive: boolean;
  /** Made when it is asked for, and kept until the fds change: with 19,000 sets most of a query's time would go there. */
  info: FdsetInfo | undefined;
}

/**
 * All fd sets of a process. Every monitor sees the same ones.
 *
 * Fit for 100,000 sets: adding, removing and opening take O(log n), listing is linear in what it lists.
 */
export class FdsetTable {
  /** Called at each change, for the ledger. It must not throw, nor change the sets. */
  onChange: ((change: FdsetChange) => void) | undefined;
  readonly #sets = new IdIndex<Fdset>();
  readonly #dups = new OpenDups();
  readonly #rules: FdsetRules;
  #monitorClients = 0;

  constructor(rules: FdsetRules = FDSET_RULES_10_0) {
    this.#rules = rules;
  }

  /**
   * Takes ownership of `fd` (also where it throws: then it is closed) and returns where it is now.
   * @throws FdsetError a negative id
   */
  add(fd: OwnedFd, options: AddOptions = {}): { fdsetId: Int64; fd: number } {
    const number = fd.fd;
    const fdsetId = options.fdsetId ?? this.#sets.lowestFree();
    if (fdsetId < 0) {
      fd.close();
      throw negativeFdsetId();
    }
    const set = this.#sets.get(fdsetId) ?? this.#create(fdsetId);
    set.info = undefined;
    const member = { owned: fd, opaque: options.opaque, addedAt: Date.now(), addedBy: options.addedBy };
    set.fds.push(member);
    this.onChange?.({ kind: 'fd-added', fdsetId, member: memberRecord(member) });
    return { fdsetId, fd: number };
  }

  /**
   * Closes one fd of a set, or all of them. Dups live on.
   * @returns a promise where a file keeps its close waiting, to be fulfilled when it is closed, or soon all the same
   * @throws FdsetError no such set, or no such fd in it
   */
  remove(fdsetId: Int64, fd?: Int64): Promise<void> | undefined {
    const set = this.#sets.get(fdsetId);
    if (set === undefined) throw noSuchMember(fdsetId, fd);
    const first = fd === undefined ? 0 : set.fds.findIndex(({ owned }) => owned.fd === fd);
    if (first < 0) throw noSuchMember(fdsetId, fd);
    const removed = this.#takeOut(set, first, fd === undefined ? set.fds.length : 1);
    this.#dropIfEmpty(set);
    let last: Promise<void> | undefined;
    for (const { owned } of removed) last = both(last, owned.closeInTime());
    return last;
  }

  /** The sets by descending id, as query-fdsets lists them. Dups are not shown, but a set that has only dups is. */
  query(): FdsetInfo[] {
    return this.#sets.descending().map((set) => (set.info ??= infoOf(set)));
  }

  /** The ledger: the sets by descending id, with who gave each fd and who holds each dup. A copy. */
  records(): FdsetRecord[] {
    return this.#sets.descending().map(({ id, fds, dups }) => ({
      fdsetId: id,
      fds: fds.map(memberRecord),
      dups: dups.map((dup) => this.#dupRecord(dup)),
    }));
  }

  /**
   * Opens `/dev/fdset/id`: duplicates the newest fd of the set that `flags` matches by the rules, and
   * sets the other status flags of its open file description to what `flags` says. O_TRUNC and the like are left to the
   * caller, since truncating may wait for a disk.
   * @param holder who will use it, for the ledger
   * @param filename the name as it was given, for the ledger
   * @returns the dup, owned by the caller
   * @throws FdsetError no such set; no fd that matches; one that cannot be duplicated
   */
  openDup(id: number, flags: number, holder: string, filename: string): FdsetDup {
    const fail = (failure: OpenFailure): FdsetError => this.#rules.openError(failure, filename, flags);
    const set = this.#sets.get(id);
    if (set === undefined) throw fail({ why: 'no such set', id });
    const member = newestMatch(set.fds, flags, this.#rules.decisiveFlags, fail);
    const owned = dupWithFlags(member, flags, fail);
    const dup = this.#dups.open({ owned, source: member, holder, filename }, (closed) => {
      const place = set.dups.indexOf(closed);
      if (place >= 0) set.dups.splice(place, 1);
      this.onChange?.({ kind: 'dup-closed', fdsetId: set.id, dup: this.#dupRecord(closed) });
      this.#closeUnused(set);
      this.#dropIfEmpty(set);
    });
    set.dups.push(dup);
    this.#tellOpened(set, dup, (flags & O.O_ACCMODE) !== O.O_RDONLY);
    return dup;
  }

  /** How many clients are connected to the monitors: where nobody is left, QEMU 7.2 closes what nobody uses. */
  setMonitorClients(count: number): void {
    this.#monitorClients = count;
    if (count > 0 || !this.#rules.closesUnused) return;
    for (const set of this.#sets.descending()) {
      this.#closeUnused(set);
      this.#dropIfEmpty(set);
    }
  }

  /** Closes every fd that the user gave. Dups belong to their holders, and their sets live until they close them. */
  [Symbol.dispose](): void {
    for (const set of this.#sets.descending()) {
      for (const { owned } of this.#takeOut(set)) owned.close();
      this.#dropIfEmpty(set);
    }
  }

  #create(id: Int64): Fdset {
    const set: Fdset = { id, fds: [], dups: [], alive: true, info: undefined };
    this.#sets.add(set);
    return set;
  }

  #closeUnused(set: Fdset): void {
    if (!this.#rules.closesUnused || this.#monitorClients > 0 || set.dups.length > 0) return;
    for (const { owned } of this.#takeOut(set)) owned.close();
  }

  /** What leaves the set; the caller closes it. */
  #takeOut(set: Fdset, first = 0, count: number = set.fds.length): Member[] {
    set.info = undefined;
    const removed = set.fds.splice(first, count);
    for (const member of this.onChange ? removed : []) {
      this.onChange?.({ kind: 'fd-removed', fdsetId: set.id, member: memberRecord(member) });
    }
    return removed;
  }

  #tellOpened(set: Fdset, dup: FdsetDup, writes: boolean): void {
    if (this.onChange === undefined) return;
    const record = this.#dupRecord(dup);
    this.onChange({ kind: 'dup-opened', fdsetId: set.id, dup: record });
    // All who share a description have its access mode.
    const writers = writes ? this.#dups.sharing(dup).filter((other) => other.holder !== dup.holder) : [];
    if (writers.length === 0) return;
    this.onChange({
      kind: 'description-shared',
      fdsetId: set.id,
      dup: record,
      writers: writers.map(({ holder, filename }) => ({ holder, filename })),
    });
  }

  #dupRecord(dup: FdsetDup): DupRecord {
    const { fd, source, holder, filename, openedAt } = dup;
    const sharedWith = this.#dups.sharing(dup).map((other) => other.holder);
    return { fd, ...(!source.closed && { member: source.fd }), holder, filename, openedAt, sharedWith };
  }

  #dropIfEmpty(set: Fdset): void {
    if (!set.alive || set.fds.length > 0 || set.dups.length > 0) return;
    set.alive = false;
    this.#sets.delete(set.id);
  }
}

function infoOf({ id, fds }: Fdset): FdsetInfo {
  return {
    'fdset-id': id,
    fds: fds.map(({ owned, opaque }) => (opaque === undefined ? { fd: owned.fd } : { fd: owned.fd, opaque })),
  };
}

function memberRecord({ owned, opaque, addedAt, addedBy }: Member): MemberRecord {
  return {
    fd: owned.fd,
    ...(opaque !== undefined && { opaque }),
    addedAt,
    ...(addedBy !== undefined && { addedBy }),
  };
}

function both(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  return one && other ? one.then(() => other) : (one ?? other);
}

/** Which fd serves these open flags? The access mode must be the same: one for both does not serve reading only. */
function newestMatch(fds: readonly Member[], flags: number, decisive: number, fail: Fail): OwnedFd {
  const match = fds.findLast(({ owned }) => ((statusFlags(owned.fd, fail) ^ flags) & decisive) === 0);
  if (match === undefined) throw fail({ why: 'no match' });
  return match.owned;
}

function statusFlags(fd: number, fail: Fail): number {
  try {
    return getStatusFlags(fd);
  } catch (cause) {
    throw fail({ why: 'no flags', fd, cause });
  }
}

/** A dup is the same open file description: what is set here, every other fd of it sees. */
function dupWithFlags(member: OwnedFd, flags: number, fail: Fail): OwnedFd {
  let dup: OwnedFd | undefined;
  try {
    dup = member.dup();
    // F_SETFL cannot change these, and would say nothing.
    if (((getStatusFlags(dup.fd) ^ flags) & O.O_SYNC) !== 0) throw new SystemError(constants.errno.EINVAL, 'fcntl');
    setStatusFlags(dup.fd, flags);
    return dup;
  } catch (cause) {
    dup?.close();
    throw fail({ why: 'no dup', fd: member.fd, cause });
  }
}
