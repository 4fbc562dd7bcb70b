// Puts the addon where a published package has it, under prebuilds/, named after the platform; with --clean takes it away
// again, since in a checkout it would hide what is built anew. npm runs both, around `npm pack` and `npm publish`.
//
//   node scripts/prebuild.mjs [--clean]
//
// One machine makes one binary. For a package with several, each platform's folder is copied here before packing.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isMusl = process.platform === 'linux' && readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}${isMusl ? '-musl' : ''}`);

if (process.argv.includes('--clean')) {
  rmSync(folder, { recursive: true, force: true });
} else {
  const addon = join(root, 'build', 'release', 'fdset.node');
  if (!existsSync(addon)) throw new Error(`${addon} is not built: run 'node scripts/build.mjs' first`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(addon, join(folder, 'fdset.node'));
}
