// Dirty bitmaps of block nodes. From QEMU's qapi/block-core.json.
import { alternate, array, bool, optional, str, struct, uint32 } from '../builders.ts';

export const BlockDirtyBitmap = struct('BlockDirtyBitmap', { node: str, name: str });

export const BlockDirtyBitmapAdd = struct('BlockDirtyBitmapAdd', {
  node: str,
  name: str,
  granularity: optional(uint32),
  persistent: optional(bool),
  disabled: optional(bool),
});

/** A bitmap of the node in question, or of another. */
export const BlockDirtyBitmapOrStr = alternate('BlockDirtyBitmapOrStr', { local: str, external: BlockDirtyBitmap });

export const BlockDirtyBitmapMerge = struct('BlockDirtyBitmapMerge', {
  node: str,
  target: str,
  bitmaps: array(BlockDirtyBitmapOrStr),
});
