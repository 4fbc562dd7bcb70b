// Which QEMU does a monitor behave as? Everything that differs between versions hangs on the profile.
import { PACKAGE_VERSION } from '../package-version.ts';
import type { QmpVersion } from '../qmp/index.ts';

/** A version of QEMU to behave as. */
export interface Profile {
  /** As users name it. */
  readonly name: string;
  /** What the greeting and `query-version` say: QEMU's version, and our own as the package. */
  readonly version: QmpVersion;
}

export const PROFILE_10_0: Profile = {
  name: '10.0',
  version: { qemu: { major: 10, minor: 0, micro: 2 }, package: `fdset ${PACKAGE_VERSION}` },
};
