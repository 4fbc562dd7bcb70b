// What is written down about fds in sets? Plain data, for the ledger.
import type { Int64 } from './int64.ts';

/** Who gave an fd, in the giver's own words: monitor, process, user … Plain data, kept as it is. */
export type FdOrigin = Readonly<Record<string, string | number | bigint | boolean>>;

/** An fd that the user gave. Times are milliseconds since 1970. */
export interface MemberRecord {
  readonly fd: number;
  readonly opaque?: string;
  readonly addedAt: number;
  readonly addedBy?: FdOrigin;
}

/** An fd that was opened from a set. */
export interface DupRecord {
  readonly fd: number;
  /** The fd that it duplicates, while the set has it. */
  readonly member?: number;
  readonly holder: string;
  readonly filename: string;
  readonly openedAt: number;
  /** The holders of others that share its open file description, oldest first. */
  readonly sharedWith: readonly string[];
}

/** A set with everything that is known of it. */
export interface FdsetRecord {
  readonly fdsetId: Int64;
  /** What the user gave, the oldest first. */
  readonly fds: readonly MemberRecord[];
  /** What was opened from it, the oldest first. */
  readonly dups: readonly DupRecord[];
}

/** What has changed in the sets. An fd that was removed or closed is still open: its number is no other's yet. */
export type FdsetChange =
  | { readonly kind: 'fd-added'; readonly fdsetId: Int64; readonly member: MemberRecord }
  | { readonly kind: 'fd-removed'; readonly fdsetId: Int64; readonly member: MemberRecord }
  | { readonly kind: 'dup-opened'; readonly fdsetId: Int64; readonly dup: DupRecord }
  | { readonly kind: 'dup-closed'; readonly fdsetId: Int64; readonly dup: DupRecord }
  /** Two holders write through one open file description: OFD locks cannot keep them apart. */
  | {
      readonly kind: 'description-shared';
      readonly fdsetId: Int64;
      readonly dup: DupRecord;
      /** Those others that write, oldest first. */
      readonly writers: readonly { readonly holder: string; readonly filename: string }[];
    };
