// What did the schema look like in QEMU 7.2? Only what commands of ours lead to; what came later is taken away. What 7.2
// had and 10.0 has not is not given back: the chardev backend `console`, and `loaded` of secrets and credentials.
import { lazy } from './builders.ts';
import { both, members, type Revision, unmarked, without } from './revision.ts';
import { ImageInfo } from './schema/image-info.ts';

export const REVISION_7_2: Revision = {
  absent: new Set(['blockdev-set-active']),
  edits: {
    'q_obj_BlockdevOptions-base': without('active'),
    BlockdevDriver: unmarked('gluster'),
    BlockdevOptionsCbw: without('min-cluster-size'),
    BlockdevOptionsLUKS: without('header'),
    BlockdevOptionsQcow2: without('discard-no-unref'),
    RbdImageEncryptionFormat: without('luks-any'),
    RbdEncryptionOptions: without('luks-any'),
    'q_obj_RbdEncryptionOptions-base': without('parent'),
    BlockDeviceInfo: without('active'),
    ImageInfo: members(
      'filename',
      'format',
      'dirty-flag',
      'actual-size',
      'virtual-size',
      'cluster-size',
      'encrypted',
      'compressed',
      'backing-filename',
      'full-backing-filename',
      'backing-filename-format',
      'snapshots',
      'backing-image',
      'format-specific',
    ),
    ImageInfoSpecificKind: without('file'),
    ImageInfoSpecific: without('file'),
    // An extent was described as an image: the type contains itself.
    VmdkExtentInfo: () => lazy(() => ImageInfo),
    QCryptoBlockInfoLUKS: without('detached-header'),
    QCryptoCipherAlgo: without('sm4'),
    QCryptoHashAlgo: without('sm3'),
    NbdServerOptionsLegacy: members('addr', 'tls-creds', 'tls-authz', 'max-connections'),
    'q_obj_BlockExportOptions-base': without('allow-inactive'),
    BackupCommon: without('discard-source'),
    BackupPerf: without('min-cluster-size'),
    ChardevSocket: both(unmarked('reconnect'), without('reconnect-ms')),
    ChardevPty: without('path'),
    ChardevBackendKind: both(unmarked('memory'), without('hub')),
    ChardevBackend: without('hub'),
  },
};
