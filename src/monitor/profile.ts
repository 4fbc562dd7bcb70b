// Which QEMU does a monitor behave as? Everything that differs between versions hangs on the profile.
import { BLOCK_RULES_10_0, BLOCK_RULES_7_2, type BlockRules } from '../block/index.ts';
import { CHARDEV_RULES_10_0, CHARDEV_RULES_7_2, type ChardevRules } from '../chardev/index.ts';
import { FDSET_RULES_10_0, FDSET_RULES_7_2, type FdsetRules } from '../fds/index.ts';
import { PACKAGE_VERSION } from '../package-version.ts';
import { REVISION_7_2, type Revision } from '../qapi/index.ts';
import type { QmpVersion } from '../qmp/index.ts';

/** A version of QEMU to behave as. */
export interface Profile {
  /** As users name it: `--compat qemu-NAME`. */
  readonly name: '10.0' | '7.2';
  /** What the greeting and `query-version` say: QEMU's version, and our own as the package. */
  readonly version: QmpVersion;
  /** When fds of sets close, which of them an open takes, and what it says where it finds none. */
  readonly fdsets: FdsetRules;
  /** How character devices are shown and asked for. */
  readonly chardevs: ChardevRules;
  /** What queries show of block nodes, and what is said of their options. */
  readonly block: BlockRules;
  /** How the schema differs from ours, which is that of 10.0. */
  readonly revision?: Revision;
  /** Whether `qom-list /` shows containers that nothing has been put into. */
  readonly emptyContainers: boolean;
}

export const PROFILE_10_0: Profile = {
  name: '10.0',
  version: versionOf(10, 0, 2),
  fdsets: FDSET_RULES_10_0,
  chardevs: CHARDEV_RULES_10_0,
  block: BLOCK_RULES_10_0,
  emptyContainers: true,
};

/** As 7.2 is while its machine runs. */
export const PROFILE_7_2: Profile = {
  name: '7.2',
  version: versionOf(7, 2, 22),
  fdsets: FDSET_RULES_7_2,
  chardevs: CHARDEV_RULES_7_2,
  block: BLOCK_RULES_7_2,
  revision: REVISION_7_2,
  emptyContainers: false,
};

/** The default first. */
export const PROFILES: readonly Profile[] = [PROFILE_10_0, PROFILE_7_2];

function versionOf(major: number, minor: number, micro: number): QmpVersion {
  return { qemu: { major, minor, micro }, package: `fdset ${PACKAGE_VERSION}` };
}
