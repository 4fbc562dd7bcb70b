// Where is the addon's binary? In a published package under prebuilds/, in a checkout under build/release/.
import { existsSync } from 'node:fs';
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
  const named = process.env['FDSET_ADDON'];
  const candidates = named === undefined ? findAddons(packageRoot()) : [named];
  const [first] = candidates;
  try {
    return requireFirst(candidates);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FdsetError('ERR_FDSET_ADDON', `cannot load the addon ${first}: ${reason}`, { cause: error });
  }
}

/**
 * The first that loads: one for another C library does not. (Which library this process runs with is not asked for: the
 * answer is in procfs, where a sandboxed process may not look.)
 */
function requireFirst(paths: readonly string[]): object {
  const failures: unknown[] = [];
  for (const path of paths) {
    try {
      return require(path) as object;
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
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

function findAddons(root: string): string[] {
  const platform = `${process.platform}-${process.arch}`;
  const prebuilt = [platform, `${platform}-musl`].map((name) => join(root, 'prebuilds', name, 'fdset.node'));
  const built = join(root, 'build', 'release', 'fdset.node');
  const found = [...prebuilt, built].filter((path) => existsSync(path));
  if (found.length > 0) return found;
  const isCheckout = existsSync(join(root, 'native'));
  throw new FdsetError(
    'ERR_FDSET_ADDON',
    isCheckout
      ? `the addon is not built (${built} not found): run 'node scripts/build-addon.mjs' in ${root}`
      : `this package has no addon for ${platform}: build one in a checkout, and name it in FDSET_ADDON`,
  );
}
