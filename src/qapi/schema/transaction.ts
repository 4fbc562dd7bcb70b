// Several block commands that succeed or fail as one. QEMU's qapi/transaction.json.
import { array, command, enumeration, optional, struct, union } from '../builders.ts';
import type { Infer } from '../types.ts';
import { BlockDirtyBitmap, BlockDirtyBitmapAdd, BlockDirtyBitmapMerge } from './block-dirty-bitmap.ts';
import {
  BlockdevBackup,
  BlockdevSnapshot,
  BlockdevSnapshotInternal,
  BlockdevSnapshotSync,
  DriveBackup,
} from './block-core.ts';

export const Abort = struct('Abort', {});

export const ActionCompletionMode = enumeration('ActionCompletionMode', ['individual', 'grouped']);

export const TransactionActionKind = enumeration(
  'TransactionActionKind',
  [
    'abort',
    'block-dirty-bitmap-add',
    'block-dirty-bitmap-remove',
    'block-dirty-bitmap-clear',
    'block-dirty-bitmap-enable',
    'block-dirty-bitmap-disable',
    'block-dirty-bitmap-merge',
    'blockdev-backup',
    'blockdev-snapshot',
    'blockdev-snapshot-internal-sync',
    'blockdev-snapshot-sync',
    'drive-backup',
  ],
  { features: { 'drive-backup': ['deprecated'] } },
);

const BlockDirtyBitmapWrapper = struct('BlockDirtyBitmapWrapper', { data: BlockDirtyBitmap });

export const TransactionAction = union('TransactionAction', {
  base: { type: TransactionActionKind },
  discriminator: 'type',
  variants: {
    abort: struct('AbortWrapper', { data: Abort }),
    'block-dirty-bitmap-add': struct('BlockDirtyBitmapAddWrapper', { data: BlockDirtyBitmapAdd }),
    'block-dirty-bitmap-remove': BlockDirtyBitmapWrapper,
    'block-dirty-bitmap-clear': BlockDirtyBitmapWrapper,
    'block-dirty-bitmap-enable': BlockDirtyBitmapWrapper,
    'block-dirty-bitmap-disable': BlockDirtyBitmapWrapper,
    'block-dirty-bitmap-merge': struct('BlockDirtyBitmapMergeWrapper', { data: BlockDirtyBitmapMerge }),
    'blockdev-backup': struct('BlockdevBackupWrapper', { data: BlockdevBackup }),
    'blockdev-snapshot': struct('BlockdevSnapshotWrapper', { data: BlockdevSnapshot }),
    'blockdev-snapshot-internal-sync': struct('BlockdevSnapshotInternalWrapper', { data: BlockdevSnapshotInternal }),
    'blockdev-snapshot-sync': struct('BlockdevSnapshotSyncWrapper', { data: BlockdevSnapshotSync }),
    'drive-backup': struct('DriveBackupWrapper', { data: DriveBackup }),
  },
});
export type TransactionAction = Infer<typeof TransactionAction>;

export const TransactionProperties = struct('TransactionProperties', {
  'completion-mode': optional(ActionCompletionMode),
});

export const transaction = command('transaction', {
  data: { actions: array(TransactionAction), properties: optional(TransactionProperties) },
});
