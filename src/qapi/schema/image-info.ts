// What query-named-block-nodes tells about an image. From QEMU's qapi/block-core.json and crypto.json.
import { array, bool, enumeration, int, lazy, optional, size, str, struct, uint32, union } from '../builders.ts';
import type { Infer, LazyType, Member } from '../types.ts';
import { BlockdevQcow2EncryptionFormat, RbdImageEncryptionFormat } from './blockdev-options.ts';

export const SnapshotInfo = struct('SnapshotInfo', {
  id: str,
  name: str,
  'vm-state-size': int,
  'date-sec': int,
  'date-nsec': int,
  'vm-clock-sec': int,
  'vm-clock-nsec': int,
  icount: optional(int),
});

export const QCryptoCipherAlgo = enumeration('QCryptoCipherAlgo', [
  'aes-128',
  'aes-192',
  'aes-256',
  'des',
  '3des',
  'cast5-128',
  'serpent-128',
  'serpent-192',
  'serpent-256',
  'twofish-128',
  'twofish-192',
  'twofish-256',
  'sm4',
]);
export const QCryptoCipherMode = enumeration('QCryptoCipherMode', ['ecb', 'cbc', 'xts', 'ctr']);
export const QCryptoIVGenAlgo = enumeration('QCryptoIVGenAlgo', ['plain', 'plain64', 'essiv']);
export const QCryptoHashAlgo = enumeration('QCryptoHashAlgo', [
  'md5',
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'ripemd160',
  'sm3',
]);
export const QCryptoBlockInfoLUKSSlot = struct('QCryptoBlockInfoLUKSSlot', {
  active: bool,
  iters: optional(int),
  stripes: optional(int),
  'key-offset': int,
});
export const QCryptoBlockInfoLUKS = struct('QCryptoBlockInfoLUKS', {
  'cipher-alg': QCryptoCipherAlgo,
  'cipher-mode': QCryptoCipherMode,
  'ivgen-alg': QCryptoIVGenAlgo,
  'ivgen-hash-alg': optional(QCryptoHashAlgo),
  'hash-alg': QCryptoHashAlgo,
  'detached-header': bool,
  'payload-offset': int,
  'master-key-iters': int,
  uuid: str,
  slots: array(QCryptoBlockInfoLUKSSlot),
});

export const ImageInfoSpecificQCow2Encryption = union('ImageInfoSpecificQCow2Encryption', {
  base: { format: BlockdevQcow2EncryptionFormat },
  discriminator: 'format',
  variants: { luks: QCryptoBlockInfoLUKS },
});
export const Qcow2BitmapInfoFlags = enumeration('Qcow2BitmapInfoFlags', ['in-use', 'auto']);
export const Qcow2BitmapInfo = struct('Qcow2BitmapInfo', {
  name: str,
  granularity: uint32,
  flags: array(Qcow2BitmapInfoFlags),
});
export const Qcow2CompressionType = enumeration('Qcow2CompressionType', ['zlib', 'zstd']);
export const ImageInfoSpecificQCow2 = struct('ImageInfoSpecificQCow2', {
  compat: str,
  'data-file': optional(str),
  'data-file-raw': optional(bool),
  'extended-l2': optional(bool),
  'lazy-refcounts': optional(bool),
  corrupt: optional(bool),
  'refcount-bits': int,
  encrypt: optional(ImageInfoSpecificQCow2Encryption),
  bitmaps: optional(array(Qcow2BitmapInfo)),
  'compression-type': Qcow2CompressionType,
});

export const VmdkExtentInfo = struct('VmdkExtentInfo', {
  filename: str,
  format: str,
  'virtual-size': int,
  'cluster-size': optional(int),
  compressed: optional(bool),
});
export const ImageInfoSpecificVmdk = struct('ImageInfoSpecificVmdk', {
  'create-type': str,
  cid: int,
  'parent-cid': int,
  extents: array(VmdkExtentInfo),
});

export const ImageInfoSpecificRbd = struct('ImageInfoSpecificRbd', {
  'encryption-format': optional(RbdImageEncryptionFormat),
});

export const ImageInfoSpecificFile = struct('ImageInfoSpecificFile', { 'extent-size-hint': optional(size) });

export const ImageInfoSpecificKind = enumeration('ImageInfoSpecificKind', ['qcow2', 'vmdk', 'luks', 'rbd', 'file']);
export const ImageInfoSpecific = union('ImageInfoSpecific', {
  base: { type: ImageInfoSpecificKind },
  discriminator: 'type',
  variants: {
    qcow2: struct('ImageInfoSpecificQCow2Wrapper', { data: ImageInfoSpecificQCow2 }),
    vmdk: struct('ImageInfoSpecificVmdkWrapper', { data: ImageInfoSpecificVmdk }),
    luks: struct('ImageInfoSpecificLUKSWrapper', { data: QCryptoBlockInfoLUKS }),
    rbd: struct('ImageInfoSpecificRbdWrapper', { data: ImageInfoSpecificRbd }),
    file: struct('ImageInfoSpecificFileWrapper', { data: ImageInfoSpecificFile }),
  },
});
export type ImageInfoSpecific = Infer<typeof ImageInfoSpecific>;

/** Sizes are in bytes. */
export const BlockNodeInfo = struct('BlockNodeInfo', {
  filename: str,
  format: str,
  'dirty-flag': optional(bool),
  'actual-size': optional(int),
  'virtual-size': int,
  'cluster-size': optional(int),
  encrypted: optional(bool),
  compressed: optional(bool),
  'backing-filename': optional(str),
  'full-backing-filename': optional(str),
  'backing-filename-format': optional(str),
  snapshots: optional(array(SnapshotInfo)),
  'format-specific': optional(ImageInfoSpecific),
});

/** An image's backing image is an image: the type contains itself. */
export interface ImageInfoHolder {
  readonly type: typeof ImageInfo;
}
const backingImage: Member<LazyType<ImageInfoHolder>, true> = optional(lazy<ImageInfoHolder>(() => ImageInfo));
export const ImageInfo = struct('ImageInfo', { 'backing-image': backingImage }, { base: BlockNodeInfo });
export type ImageInfo = Infer<typeof ImageInfo>;
