// What does an export ask of its disk?
import type { Extent } from './extents.ts';

/**
 * The disk behind an export. Every call fails with an error that carries the system's errno (SystemError).
 *
 * A buffer is the backend's from the call until its promise settles: only then may nobody touch it any more, for it
 * goes on to the next request. So a backend must not settle a read while a system call can still write into the buffer.
 */
export interface ExportBackend {
  /** In bytes. */
  readonly length: number;
  readonly readOnly: boolean;
  readonly limits: {
    /** Requests should be multiples of this, in bytes. */
    readonly requestAlignment: number;
    /** What the disk does best, in bytes; 0: it has no preference. */
    readonly optimalTransfer: number;
    /** The longest request, in bytes; 0: no limit. */
    readonly maxTransfer: number;
  };
  /** Fills the whole buffer. */
  read(offset: number, buffer: Buffer): Promise<void>;
  write(offset: number, buffer: Buffer, options: { readonly fua: boolean }): Promise<void>;
  /** `fast`: fails with ENOTSUP where it would not be faster than writing. */
  writeZeroes(
    offset: number,
    length: number,
    options: { readonly fua: boolean; readonly mayUnmap: boolean; readonly fast: boolean },
  ): Promise<void>;
  discard(offset: number, length: number, options: { readonly fua: boolean }): Promise<void>;
  /** Makes durable what any user of the disk has written and been told so. */
  flush(): Promise<void>;
  /** At least one extent from `offset` on; they may end before `length`. */
  blockStatus(offset: number, length: number, options: { readonly maxExtents: number }): Promise<readonly Extent[]>;
}
