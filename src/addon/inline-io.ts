// How are bytes read and written at once, on the event loop? For files of which the caller knows that they do not keep it
// waiting; everything else goes through io-pool.ts.
//
// Each returns the number of bytes, or a negated errno: failing is common here, and the caller goes to the pool then.
import { loadAddon } from './load.ts';

type InlineIo = (fd: number, bytes: Uint8Array, position: number) => number;

const binding = loadAddon() as Readonly<Record<'preadCached' | 'preadNow' | 'pwriteNow', InlineIo>>;

/** preadv2(2) with RWF_NOWAIT: what is in memory; -EAGAIN where nothing is, -EOPNOTSUPP where the file cannot tell. */
export const preadCached: InlineIo = binding.preadCached;

/** pread(2), however long it takes. */
export const preadNow: InlineIo = binding.preadNow;

/** pwrite(2), however long it takes. */
export const pwriteNow: InlineIo = binding.pwriteNow;
