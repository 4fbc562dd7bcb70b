// Where is the addon's binary? In a published package under prebuilds/, in a checkout under build/release/.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { FdsetError } from '../errors.ts';

const require = createRequire(import.meta.url);
let loaded: object | undefined;

/**
 * The exports of the addon; each door in this folder knows the types of its own part.
 *
 * `FDSET_ADDON` names another binary (the sanitizer build).
 * @throws FdsetError `ERR_FDSET_ADDON`: there is no binary, or it does not load here.
 */
export function loadAddon(): object {
  loaded ??= load();
  return loaded;
}

function load(): object {
  const path = process.env['FDSET_ADDON'] ?? findAddon(packageRoot());
  try {
    return require(path) as object;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FdsetError('ERR_FDSET_ADDON', `cannot load the addon ${path}: ${reason}`, { cause: error });
  }
}

/** The folder of fdset's own package.json: two levels up from the source, three from dist/src/addon. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new FdsetError('ERR_FDSET_ADDON', 'cannot find the package that fdset is part of');
    folder = parent;
  }
  return folder;
}

function findAddon(root: string): string {
  const prebuilt = join(root, 'prebuilds', platformName(), 'fdset.node');
  const built = join(root, 'build', 'release', 'fdset.node');
  const found = [prebuilt, built].find((path) => existsSync(path));
  if (found !== undefined) return found;
  const isCheckout = existsSync(join(root, 'native'));
  throw new FdsetError(
    'ERR_FDSET_ADDON',
    isCheckout
      ? `the addon is not built (${built} not found): run 'node scripts/build-addon.mjs' in ${root}`
      : `this package has no addon for ${platformName()}: build one in a checkout, and name it in FDSET_ADDON`,
  );
}

function platformName(): string {
  return `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`;
}

/** Which C library runs this process? process.report knows too, but takes milliseconds to say so. */
function isMusl(): boolean {
  return process.platform === 'linux' && readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
}
