// The options of block drivers: what blockdev-add and --blockdev take. From QEMU's qapi/block-core.json, and
// crypto.json for the keys of encrypted images.
//
// Longer than a file should be: QEMU 10.0 has 38 drivers, and one union holds them all.
import {
  alternate,
  array,
  bool,
  enumeration,
  int,
  int32,
  lazy,
  nullType,
  optional,
  size,
  str,
  struct,
  uint32,
  uint64,
  union,
} from '../builders.ts';
import type { AlternateType, BuiltinType, Infer, LazyType, Member } from '../types.ts';
import { BlockDirtyBitmap } from './block-dirty-bitmap.ts';
import { OnOffAuto } from './common.ts';
import { InetSocketAddressBase, SocketAddress, InetSocketAddress } from './sockets.ts';

// Nodes contain nodes: a child is the name of a node or the options of a new one.

export interface BlockdevOptionsHolder {
  readonly type: typeof BlockdevOptions;
}
const definition = lazy<BlockdevOptionsHolder>((): typeof BlockdevOptions => BlockdevOptions);

type Child = { readonly definition: LazyType<BlockdevOptionsHolder>; readonly reference: BuiltinType<'str'> };
export const BlockdevRef: AlternateType<Child> = alternate('BlockdevRef', { definition, reference: str });
export type BlockdevRef = Infer<typeof BlockdevRef>;

/** null: no such child, even where the image names one. */
export const BlockdevRefOrNull: AlternateType<Child & { readonly null: BuiltinType<'null'> }> = alternate(
  'BlockdevRefOrNull',
  { definition, reference: str, null: nullType },
);
export type BlockdevRefOrNull = Infer<typeof BlockdevRefOrNull>;

export const BlockdevOptionsGenericFormat = struct('BlockdevOptionsGenericFormat', { file: BlockdevRef });
export const BlockdevOptionsGenericCOWFormat = struct(
  'BlockdevOptionsGenericCOWFormat',
  { backing: optional(BlockdevRefOrNull) },
  { base: BlockdevOptionsGenericFormat },
);

// Files and devices of the host

export const BlockdevAioOptions = enumeration('BlockdevAioOptions', ['threads', 'native', 'io_uring']);
export const BlockdevOptionsFile = struct(
  'BlockdevOptionsFile',
  {
    filename: str,
    'pr-manager': optional(str),
    locking: optional(OnOffAuto),
    aio: optional(BlockdevAioOptions),
    'aio-max-batch': optional(int),
    'drop-cache': optional(bool),
    'x-check-cache-dropped': optional(bool, { features: ['unstable'] }),
  },
  { features: ['dynamic-auto-read-only'] },
);
export type BlockdevOptionsFile = Infer<typeof BlockdevOptionsFile>;

export const BlockdevOptionsNull = struct('BlockdevOptionsNull', {
  size: optional(int),
  'latency-ns': optional(uint64),
  'read-zeroes': optional(bool),
});

export const BlockdevOptionsNVMe = struct('BlockdevOptionsNVMe', { device: str, namespace: int });

export const BlockdevOptionsVVFAT = struct('BlockdevOptionsVVFAT', {
  dir: str,
  'fat-type': optional(int),
  floppy: optional(bool),
  label: optional(str),
  rw: optional(bool),
});

// Formats

export const BlockdevOptionsRaw = struct(
  'BlockdevOptionsRaw',
  { offset: optional(int), size: optional(int) },
  { base: BlockdevOptionsGenericFormat },
);
export type BlockdevOptionsRaw = Infer<typeof BlockdevOptionsRaw>;

export const Qcow2OverlapCheckMode = enumeration('Qcow2OverlapCheckMode', ['none', 'constant', 'cached', 'all']);
export const Qcow2OverlapCheckFlags = struct('Qcow2OverlapCheckFlags', {
  template: optional(Qcow2OverlapCheckMode),
  'main-header': optional(bool),
  'active-l1': optional(bool),
  'active-l2': optional(bool),
  'refcount-table': optional(bool),
  'refcount-block': optional(bool),
  'snapshot-table': optional(bool),
  'inactive-l1': optional(bool),
  'inactive-l2': optional(bool),
  'bitmap-directory': optional(bool),
});
export const Qcow2OverlapChecks = alternate('Qcow2OverlapChecks', {
  flags: Qcow2OverlapCheckFlags,
  mode: Qcow2OverlapCheckMode,
});

export const QCryptoBlockOptionsQCow = struct('QCryptoBlockOptionsQCow', { 'key-secret': optional(str) });
export const QCryptoBlockOptionsLUKS = struct('QCryptoBlockOptionsLUKS', { 'key-secret': optional(str) });
export const BlockdevQcow2EncryptionFormat = enumeration('BlockdevQcow2EncryptionFormat', ['aes', 'luks']);
export const BlockdevQcow2Encryption = union('BlockdevQcow2Encryption', {
  base: { format: BlockdevQcow2EncryptionFormat },
  discriminator: 'format',
  variants: { aes: QCryptoBlockOptionsQCow, luks: QCryptoBlockOptionsLUKS },
});

/** Cache sizes are in bytes, the clean interval in seconds. */
export const BlockdevOptionsQcow2 = struct(
  'BlockdevOptionsQcow2',
  {
    'lazy-refcounts': optional(bool),
    'pass-discard-request': optional(bool),
    'pass-discard-snapshot': optional(bool),
    'pass-discard-other': optional(bool),
    'discard-no-unref': optional(bool),
    'overlap-check': optional(Qcow2OverlapChecks),
    'cache-size': optional(int),
    'l2-cache-size': optional(int),
    'l2-cache-entry-size': optional(int),
    'refcount-cache-size': optional(int),
    'cache-clean-interval': optional(int),
    encrypt: optional(BlockdevQcow2Encryption),
    'data-file': optional(BlockdevRef),
  },
  { base: BlockdevOptionsGenericCOWFormat },
);
export type BlockdevOptionsQcow2 = Infer<typeof BlockdevOptionsQcow2>;

export const BlockdevQcowEncryptionFormat = enumeration('BlockdevQcowEncryptionFormat', ['aes']);
export const BlockdevQcowEncryption = union('BlockdevQcowEncryption', {
  base: { format: BlockdevQcowEncryptionFormat },
  discriminator: 'format',
  variants: { aes: QCryptoBlockOptionsQCow },
});
export const BlockdevOptionsQcow = struct(
  'BlockdevOptionsQcow',
  { encrypt: optional(BlockdevQcowEncryption) },
  { base: BlockdevOptionsGenericCOWFormat },
);

export const BlockdevOptionsLUKS = struct(
  'BlockdevOptionsLUKS',
  { 'key-secret': optional(str), header: optional(BlockdevRef) },
  { base: BlockdevOptionsGenericFormat },
);

// Filters

export const BlockdevOptionsCor = struct(
  'BlockdevOptionsCor',
  { bottom: optional(str) },
  { base: BlockdevOptionsGenericFormat },
);

export const OnCbwError = enumeration('OnCbwError', ['break-guest-write', 'break-snapshot']);
export const BlockdevOptionsCbw = struct(
  'BlockdevOptionsCbw',
  {
    target: BlockdevRef,
    bitmap: optional(BlockDirtyBitmap),
    'on-cbw-error': optional(OnCbwError),
    'cbw-timeout': optional(uint32),
    'min-cluster-size': optional(size),
  },
  { base: BlockdevOptionsGenericFormat },
);

export const BlockdevOptionsPreallocate = struct(
  'BlockdevOptionsPreallocate',
  { 'prealloc-align': optional(int), 'prealloc-size': optional(int) },
  { base: BlockdevOptionsGenericFormat },
);

export const BlockdevOptionsThrottle = struct('BlockdevOptionsThrottle', { 'throttle-group': str, file: BlockdevRef });

export const QuorumReadPattern = enumeration('QuorumReadPattern', ['quorum', 'fifo']);
export const BlockdevOptionsQuorum = struct('BlockdevOptionsQuorum', {
  blkverify: optional(bool),
  children: array(BlockdevRef),
  'vote-threshold': int,
  'rewrite-corrupted': optional(bool),
  'read-pattern': optional(QuorumReadPattern),
});

export const ReplicationMode = enumeration('ReplicationMode', ['primary', 'secondary']);
export const BlockdevOptionsReplication = struct(
  'BlockdevOptionsReplication',
  { mode: ReplicationMode, 'top-id': optional(str) },
  { base: BlockdevOptionsGenericFormat },
);

// Debugging

/** Spelt with underscores, a few with none. */
export const BlkdebugEvent = enumeration('BlkdebugEvent', [
  'l1_update',
  'l1_grow_alloc_table',
  'l1_grow_write_table',
  'l1_grow_activate_table',
  'l2_load',
  'l2_update',
  'l2_update_compressed',
  'l2_alloc_cow_read',
  'l2_alloc_write',
  'read_aio',
  'read_backing_aio',
  'read_compressed',
  'write_aio',
  'write_compressed',
  'vmstate_load',
  'vmstate_save',
  'cow_read',
  'cow_write',
  'reftable_load',
  'reftable_grow',
  'reftable_update',
  'refblock_load',
  'refblock_update',
  'refblock_update_part',
  'refblock_alloc',
  'refblock_alloc_hookup',
  'refblock_alloc_write',
  'refblock_alloc_write_blocks',
  'refblock_alloc_write_table',
  'refblock_alloc_switch_table',
  'cluster_alloc',
  'cluster_alloc_bytes',
  'cluster_free',
  'flush_to_os',
  'flush_to_disk',
  'pwritev_rmw_head',
  'pwritev_rmw_after_head',
  'pwritev_rmw_tail',
  'pwritev_rmw_after_tail',
  'pwritev',
  'pwritev_zero',
  'pwritev_done',
  'empty_image_prepare',
  'l1_shrink_write_table',
  'l1_shrink_free_l2_clusters',
  'cor_write',
  'cluster_alloc_space',
  'none',
]);
export const BlkdebugIOType = enumeration('BlkdebugIOType', [
  'read',
  'write',
  'write-zeroes',
  'discard',
  'flush',
  'block-status',
]);
export const BlockPermission = enumeration('BlockPermission', [
  'consistent-read',
  'write',
  'write-unchanged',
  'resize',
]);
export const BlkdebugInjectErrorOptions = struct('BlkdebugInjectErrorOptions', {
  event: BlkdebugEvent,
  state: optional(int),
  iotype: optional(BlkdebugIOType),
  errno: optional(int),
  sector: optional(int),
  once: optional(bool),
  immediately: optional(bool),
});
export const BlkdebugSetStateOptions = struct('BlkdebugSetStateOptions', {
  event: BlkdebugEvent,
  state: optional(int),
  new_state: int,
});
export const BlockdevOptionsBlkdebug = struct('BlockdevOptionsBlkdebug', {
  image: BlockdevRef,
  config: optional(str),
  align: optional(int),
  'max-transfer': optional(int32),
  'opt-write-zero': optional(int32),
  'max-write-zero': optional(int32),
  'opt-discard': optional(int32),
  'max-discard': optional(int32),
  'inject-error': optional(array(BlkdebugInjectErrorOptions)),
  'set-state': optional(array(BlkdebugSetStateOptions)),
  'take-child-perms': optional(array(BlockPermission)),
  'unshare-child-perms': optional(array(BlockPermission)),
});

export const BlockdevOptionsBlklogwrites = struct('BlockdevOptionsBlklogwrites', {
  file: BlockdevRef,
  log: BlockdevRef,
  'log-sector-size': optional(uint32),
  'log-append': optional(bool),
  'log-super-update-interval': optional(uint64),
});
export const BlockdevOptionsBlkverify = struct('BlockdevOptionsBlkverify', { test: BlockdevRef, raw: BlockdevRef });
export const BlockdevOptionsBlkreplay = struct('BlockdevOptionsBlkreplay', { image: BlockdevRef });

// The network

export const BlockdevOptionsCurlBase = struct('BlockdevOptionsCurlBase', {
  url: str,
  readahead: optional(int),
  timeout: optional(int),
  username: optional(str),
  'password-secret': optional(str),
  'proxy-username': optional(str),
  'proxy-password-secret': optional(str),
});
const curl = { base: BlockdevOptionsCurlBase };
export const BlockdevOptionsCurlHttp = struct(
  'BlockdevOptionsCurlHttp',
  { cookie: optional(str), 'cookie-secret': optional(str) },
  curl,
);
export const BlockdevOptionsCurlHttps = struct(
  'BlockdevOptionsCurlHttps',
  { cookie: optional(str), sslverify: optional(bool), 'cookie-secret': optional(str) },
  curl,
);
export const BlockdevOptionsCurlFtp = struct('BlockdevOptionsCurlFtp', {}, curl);
export const BlockdevOptionsCurlFtps = struct('BlockdevOptionsCurlFtps', { sslverify: optional(bool) }, curl);

export const BlockdevOptionsGluster = struct('BlockdevOptionsGluster', {
  volume: str,
  path: str,
  server: array(SocketAddress),
  debug: optional(int),
  logfile: optional(str),
});

export const IscsiTransport = enumeration('IscsiTransport', ['tcp', 'iser']);
export const IscsiHeaderDigest = enumeration('IscsiHeaderDigest', ['crc32c', 'none', 'crc32c-none', 'none-crc32c']);
export const BlockdevOptionsIscsi = struct('BlockdevOptionsIscsi', {
  transport: IscsiTransport,
  portal: str,
  target: str,
  lun: optional(int),
  user: optional(str),
  'password-secret': optional(str),
  'initiator-name': optional(str),
  'header-digest': optional(IscsiHeaderDigest),
  timeout: optional(int),
});

export const BlockdevOptionsNbd = struct('BlockdevOptionsNbd', {
  server: SocketAddress,
  export: optional(str),
  'tls-creds': optional(str),
  'tls-hostname': optional(str),
  'x-dirty-bitmap': optional(str, { features: ['unstable'] }),
  'reconnect-delay': optional(uint32),
  'open-timeout': optional(uint32),
});

export const NFSTransport = enumeration('NFSTransport', ['inet']);
export const NFSServer = struct('NFSServer', { type: NFSTransport, host: str });
export const BlockdevOptionsNfs = struct('BlockdevOptionsNfs', {
  server: NFSServer,
  path: str,
  user: optional(int),
  group: optional(int),
  'tcp-syn-count': optional(int),
  'readahead-size': optional(int),
  'page-cache-size': optional(int),
  debug: optional(int),
});

export const RbdImageEncryptionFormat = enumeration('RbdImageEncryptionFormat', ['luks', 'luks2', 'luks-any']);
const RbdEncryptionOptionsLUKSBase = struct('RbdEncryptionOptionsLUKSBase', { 'key-secret': str });
const luksKey = { base: RbdEncryptionOptionsLUKSBase };
/** The encryption of a parent image: the type contains itself. */
export interface RbdEncryptionHolder {
  readonly type: typeof RbdEncryptionOptions;
}
const parentEncryption: Member<LazyType<RbdEncryptionHolder>, true> = optional(
  lazy<RbdEncryptionHolder>(() => RbdEncryptionOptions),
);
export const RbdEncryptionOptions = union('RbdEncryptionOptions', {
  base: { format: RbdImageEncryptionFormat, parent: parentEncryption },
  discriminator: 'format',
  variants: {
    luks: struct('RbdEncryptionOptionsLUKS', {}, luksKey),
    luks2: struct('RbdEncryptionOptionsLUKS2', {}, luksKey),
    'luks-any': struct('RbdEncryptionOptionsLUKSAny', {}, luksKey),
  },
});
export const RbdAuthMode = enumeration('RbdAuthMode', ['cephx', 'none']);
export const BlockdevOptionsRbd = struct('BlockdevOptionsRbd', {
  pool: str,
  namespace: optional(str),
  image: str,
  conf: optional(str),
  snapshot: optional(str),
  encrypt: optional(RbdEncryptionOptions),
  user: optional(str),
  'auth-client-required': optional(array(RbdAuthMode)),
  'key-secret': optional(str),
  server: optional(array(InetSocketAddressBase)),
});

export const SshHostKeyCheckMode = enumeration('SshHostKeyCheckMode', ['none', 'hash', 'known_hosts']);
export const SshHostKeyCheckHashType = enumeration('SshHostKeyCheckHashType', ['md5', 'sha1', 'sha256']);
export const SshHostKeyHash = struct('SshHostKeyHash', { type: SshHostKeyCheckHashType, hash: str });
export const SshHostKeyCheck = union('SshHostKeyCheck', {
  base: { mode: SshHostKeyCheckMode },
  discriminator: 'mode',
  variants: { hash: SshHostKeyHash },
});
export const BlockdevOptionsSsh = struct('BlockdevOptionsSsh', {
  server: InetSocketAddress,
  path: str,
  user: optional(str),
  'host-key-check': optional(SshHostKeyCheck),
});

// All of them

export const BlockdevDriver = enumeration(
  'BlockdevDriver',
  [
    'blkdebug',
    'blklogwrites',
    'blkreplay',
    'blkverify',
    'bochs',
    'cloop',
    'compress',
    'copy-before-write',
    'copy-on-read',
    'dmg',
    'file',
    'snapshot-access',
    'ftp',
    'ftps',
    'gluster',
    'host_cdrom',
    'host_device',
    'http',
    'https',
    'iscsi',
    'luks',
    'nbd',
    'nfs',
    'null-aio',
    'null-co',
    'nvme',
    'parallels',
    'preallocate',
    'qcow',
    'qcow2',
    'qed',
    'quorum',
    'raw',
    'rbd',
    'replication',
    'ssh',
    'throttle',
    'vdi',
    'vhdx',
    'vmdk',
    'vpc',
    'vvfat',
  ],
  { features: { gluster: ['deprecated'] } },
);
export type BlockdevDriver = Infer<typeof BlockdevDriver>;

export const BlockdevDiscardOptions = enumeration('BlockdevDiscardOptions', ['ignore', 'unmap']);
export const BlockdevCacheOptions = struct('BlockdevCacheOptions', {
  direct: optional(bool),
  'no-flush': optional(bool),
});
export const BlockdevDetectZeroesOptions = enumeration('BlockdevDetectZeroesOptions', ['off', 'on', 'unmap']);

export const BlockdevOptions = union('BlockdevOptions', {
  base: {
    driver: BlockdevDriver,
    'node-name': optional(str),
    discard: optional(BlockdevDiscardOptions),
    cache: optional(BlockdevCacheOptions),
    active: optional(bool),
    'read-only': optional(bool),
    'auto-read-only': optional(bool),
    'force-share': optional(bool),
    'detect-zeroes': optional(BlockdevDetectZeroesOptions),
  },
  discriminator: 'driver',
  variants: {
    blkdebug: BlockdevOptionsBlkdebug,
    blklogwrites: BlockdevOptionsBlklogwrites,
    blkverify: BlockdevOptionsBlkverify,
    blkreplay: BlockdevOptionsBlkreplay,
    bochs: BlockdevOptionsGenericFormat,
    cloop: BlockdevOptionsGenericFormat,
    compress: BlockdevOptionsGenericFormat,
    'copy-before-write': BlockdevOptionsCbw,
    'copy-on-read': BlockdevOptionsCor,
    dmg: BlockdevOptionsGenericFormat,
    file: BlockdevOptionsFile,
    ftp: BlockdevOptionsCurlFtp,
    ftps: BlockdevOptionsCurlFtps,
    gluster: BlockdevOptionsGluster,
    host_cdrom: BlockdevOptionsFile,
    host_device: BlockdevOptionsFile,
    http: BlockdevOptionsCurlHttp,
    https: BlockdevOptionsCurlHttps,
    iscsi: BlockdevOptionsIscsi,
    luks: BlockdevOptionsLUKS,
    nbd: BlockdevOptionsNbd,
    nfs: BlockdevOptionsNfs,
    'null-aio': BlockdevOptionsNull,
    'null-co': BlockdevOptionsNull,
    nvme: BlockdevOptionsNVMe,
    parallels: BlockdevOptionsGenericFormat,
    preallocate: BlockdevOptionsPreallocate,
    qcow2: BlockdevOptionsQcow2,
    qcow: BlockdevOptionsQcow,
    qed: BlockdevOptionsGenericCOWFormat,
    quorum: BlockdevOptionsQuorum,
    raw: BlockdevOptionsRaw,
    rbd: BlockdevOptionsRbd,
    replication: BlockdevOptionsReplication,
    'snapshot-access': BlockdevOptionsGenericFormat,
    ssh: BlockdevOptionsSsh,
    throttle: BlockdevOptionsThrottle,
    vdi: BlockdevOptionsGenericFormat,
    vhdx: BlockdevOptionsGenericFormat,
    vmdk: BlockdevOptionsGenericCOWFormat,
    vpc: BlockdevOptionsGenericFormat,
    vvfat: BlockdevOptionsVVFAT,
  },
});
export type BlockdevOptions = Infer<typeof BlockdevOptions>;
