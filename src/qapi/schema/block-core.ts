// Block nodes: the commands about them, and what actions of a transaction take. From QEMU's qapi/block-core.json; the
// options of the drivers are in blockdev-options.ts, what is told about images in image-info.ts.
import { array, bool, command, enumeration, int, int64, optional, size, str, struct, uint32 } from '../builders.ts';
import type { Infer, Member } from '../types.ts';
import { BlockdevDetectZeroesOptions, BlockdevOptions } from './blockdev-options.ts';
import { ImageInfo } from './image-info.ts';

export const blockdevAdd = command('blockdev-add', { data: BlockdevOptions });

export const blockdevDel = command('blockdev-del', { data: { 'node-name': str } });

export const blockdevReopen = command('blockdev-reopen', { data: { options: array(BlockdevOptions) } });

/** Without a node name it concerns all nodes. */
export const blockdevSetActive = command('blockdev-set-active', {
  data: { 'node-name': optional(str), active: bool },
});

/** `size` is in bytes. */
export const blockResize = command('block_resize', {
  data: { device: optional(str), 'node-name': optional(str), size: int },
});

/** `device` is the id of the job; `speed` is in bytes per second, 0 for no limit. */
export const blockJobSetSpeed = command('block-job-set-speed', { data: { device: str, speed: int } });

export const BlockdevCacheInfo = struct('BlockdevCacheInfo', { writeback: bool, direct: bool, 'no-flush': bool });

export const BlockDirtyInfo = struct('BlockDirtyInfo', {
  name: optional(str),
  count: int,
  granularity: uint32,
  recording: bool,
  busy: bool,
  persistent: bool,
  inconsistent: optional(bool),
});

/** The throttling members are 0 where there is none; `detect_zeroes` and others are spelt with underscores. */
export const BlockDeviceInfo = struct('BlockDeviceInfo', {
  file: str,
  'node-name': optional(str),
  ro: bool,
  drv: str,
  backing_file: optional(str),
  backing_file_depth: int,
  active: bool,
  encrypted: bool,
  detect_zeroes: BlockdevDetectZeroesOptions,
  bps: int,
  bps_rd: int,
  bps_wr: int,
  iops: int,
  iops_rd: int,
  iops_wr: int,
  image: ImageInfo,
  bps_max: optional(int),
  bps_rd_max: optional(int),
  bps_wr_max: optional(int),
  iops_max: optional(int),
  iops_rd_max: optional(int),
  iops_wr_max: optional(int),
  bps_max_length: optional(int),
  bps_rd_max_length: optional(int),
  bps_wr_max_length: optional(int),
  iops_max_length: optional(int),
  iops_rd_max_length: optional(int),
  iops_wr_max_length: optional(int),
  iops_size: optional(int),
  group: optional(str),
  cache: BlockdevCacheInfo,
  write_threshold: int,
  'dirty-bitmaps': optional(array(BlockDirtyInfo)),
});
export type BlockDeviceInfo = Infer<typeof BlockDeviceInfo>;

export const BlockDeviceIoStatus = enumeration('BlockDeviceIoStatus', ['ok', 'failed', 'nospace']);

/** A device of a machine, with the medium inserted. */
export const BlockInfo = struct('BlockInfo', {
  device: str,
  qdev: optional(str),
  type: str,
  removable: bool,
  locked: bool,
  inserted: optional(BlockDeviceInfo),
  tray_open: optional(bool),
  'io-status': optional(BlockDeviceIoStatus),
});

export const queryBlock = command('query-block', { returns: array(BlockInfo) });

/** `flat` leaves the chains of backing images out. */
export const queryNamedBlockNodes = command('query-named-block-nodes', {
  data: { flat: optional(bool) },
  returns: array(BlockDeviceInfo),
});

export const BlockdevSnapshot = struct('BlockdevSnapshot', { node: str, overlay: str });

export const NewImageMode = enumeration('NewImageMode', ['existing', 'absolute-paths']);
export const BlockdevSnapshotSync = struct('BlockdevSnapshotSync', {
  device: optional(str),
  'node-name': optional(str),
  'snapshot-file': str,
  'snapshot-node-name': optional(str),
  format: optional(str),
  mode: optional(NewImageMode),
});

export const BlockdevSnapshotInternal = struct('BlockdevSnapshotInternal', { device: str, name: str });

export const MirrorSyncMode = enumeration('MirrorSyncMode', ['top', 'full', 'none', 'incremental', 'bitmap']);
export const BitmapSyncMode = enumeration('BitmapSyncMode', ['on-success', 'never', 'always']);
export const BlockdevOnError = enumeration('BlockdevOnError', ['report', 'ignore', 'enospc', 'stop', 'auto']);
export const BackupPerf = struct('BackupPerf', {
  'use-copy-range': optional(bool),
  'max-workers': optional(int),
  'max-chunk': optional(int64),
  'min-cluster-size': optional(size),
});
export const BackupCommon = struct('BackupCommon', {
  'job-id': optional(str),
  device: str,
  sync: MirrorSyncMode,
  speed: optional(int),
  bitmap: optional(str),
  'bitmap-mode': optional(BitmapSyncMode),
  compress: optional(bool),
  'on-source-error': optional(BlockdevOnError),
  'on-target-error': optional(BlockdevOnError),
  'auto-finalize': optional(bool),
  'auto-dismiss': optional(bool),
  'filter-node-name': optional(str),
  'discard-source': optional(bool),
  'x-perf': optional(BackupPerf, { features: ['unstable'] }),
});
export const BlockdevBackup = struct('BlockdevBackup', { target: str }, { base: BackupCommon });
export const DriveBackup = struct(
  'DriveBackup',
  { target: str, format: optional(str), mode: optional(NewImageMode) },
  { base: BackupCommon },
);

export const throttleLimitNames = [
  'iops-total',
  'iops-total-max',
  'iops-total-max-length',
  'iops-read',
  'iops-read-max',
  'iops-read-max-length',
  'iops-write',
  'iops-write-max',
  'iops-write-max-length',
  'bps-total',
  'bps-total-max',
  'bps-total-max-length',
  'bps-read',
  'bps-read-max',
  'bps-read-max-length',
  'bps-write',
  'bps-write-max',
  'bps-write-max-length',
  'iops-size',
] as const;

type Limits = { readonly [K in (typeof throttleLimitNames)[number]]: Member<typeof int, true> };
const limits = Object.fromEntries(throttleLimitNames.map((name) => [name, optional(int)])) as Limits;

/** `iops-` in requests, `bps-` in bytes per second, `-length` in seconds. */
export const ThrottleLimits = struct('ThrottleLimits', limits);
export type ThrottleLimits = Infer<typeof ThrottleLimits>;
