// The NBD server and block exports. QEMU's qapi/block-export.json.
import {
  array,
  bool,
  command,
  enumeration,
  event,
  optional,
  size,
  str,
  struct,
  uint16,
  uint32,
  union,
} from '../builders.ts';
import type { Infer } from '../types.ts';
import { BlockDirtyBitmapOrStr } from './block-dirty-bitmap.ts';
import { SocketAddress, SocketAddressLegacy } from './sockets.ts';

export const NbdServerOptionsBase = struct('NbdServerOptionsBase', {
  'handshake-max-seconds': optional(uint32),
  'tls-creds': optional(str),
  'tls-authz': optional(str),
  'max-connections': optional(uint32),
});

/** The members of the option `--nbd-server`. */
export const NbdServerOptions = struct('NbdServerOptions', { addr: SocketAddress }, { base: NbdServerOptionsBase });
export type NbdServerOptions = Infer<typeof NbdServerOptions>;

export const NbdServerOptionsLegacy = struct(
  'NbdServerOptionsLegacy',
  { addr: SocketAddressLegacy },
  { base: NbdServerOptionsBase },
);

export const nbdServerStart = command('nbd-server-start', { data: NbdServerOptionsLegacy });

export const nbdServerStop = command('nbd-server-stop');

/** `name` defaults to the node's name. */
export const BlockExportOptionsNbdBase = struct('BlockExportOptionsNbdBase', {
  name: optional(str),
  description: optional(str),
});

export const BlockExportOptionsNbd = struct(
  'BlockExportOptionsNbd',
  { bitmaps: optional(array(BlockDirtyBitmapOrStr)), 'allocation-depth': optional(bool) },
  { base: BlockExportOptionsNbdBase },
);

export const BlockExportOptionsVhostUserBlk = struct('BlockExportOptionsVhostUserBlk', {
  addr: SocketAddress,
  'logical-block-size': optional(size),
  'num-queues': optional(uint16),
});

export const FuseExportAllowOther = enumeration('FuseExportAllowOther', ['off', 'on', 'auto']);
export const BlockExportOptionsFuse = struct('BlockExportOptionsFuse', {
  mountpoint: str,
  growable: optional(bool),
  'allow-other': optional(FuseExportAllowOther),
});

export const BlockExportOptionsVduseBlk = struct('BlockExportOptionsVduseBlk', {
  name: str,
  'num-queues': optional(uint16),
  'queue-size': optional(uint16),
  'logical-block-size': optional(size),
  serial: optional(str),
});

export const NbdServerAddOptions = struct(
  'NbdServerAddOptions',
  { device: str, writable: optional(bool), bitmap: optional(str) },
  { base: BlockExportOptionsNbdBase },
);

export const nbdServerAdd = command('nbd-server-add', { data: NbdServerAddOptions, features: ['deprecated'] });

export const BlockExportRemoveMode = enumeration('BlockExportRemoveMode', ['safe', 'hard']);

export const nbdServerRemove = command('nbd-server-remove', {
  data: { name: str, mode: optional(BlockExportRemoveMode) },
  features: ['deprecated'],
});

export const BlockExportType = enumeration('BlockExportType', ['nbd', 'vhost-user-blk', 'fuse', 'vduse-blk']);

export const BlockExportOptions = union('BlockExportOptions', {
  base: {
    type: BlockExportType,
    id: str,
    'fixed-iothread': optional(bool),
    iothread: optional(str),
    'node-name': str,
    writable: optional(bool),
    writethrough: optional(bool),
    'allow-inactive': optional(bool),
  },
  discriminator: 'type',
  variants: {
    nbd: BlockExportOptionsNbd,
    'vhost-user-blk': BlockExportOptionsVhostUserBlk,
    fuse: BlockExportOptionsFuse,
    'vduse-blk': BlockExportOptionsVduseBlk,
  },
});
export type BlockExportOptions = Infer<typeof BlockExportOptions>;

export const blockExportAdd = command('block-export-add', { data: BlockExportOptions });

export const blockExportDel = command('block-export-del', {
  data: { id: str, mode: optional(BlockExportRemoveMode) },
});

export const blockExportDeleted = event('BLOCK_EXPORT_DELETED', { data: { id: str } });

export const BlockExportInfo = struct('BlockExportInfo', {
  id: str,
  type: BlockExportType,
  'node-name': str,
  'shutting-down': bool,
});
export type BlockExportInfo = Infer<typeof BlockExportInfo>;

export const queryBlockExports = command('query-block-exports', { returns: array(BlockExportInfo) });
