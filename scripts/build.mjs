// Builds everything a checkout needs to run: the addon, then dist/ from TypeScript.
//
//   node scripts/build.mjs [--if-stale]
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './build-addon.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

if (!existsSync(tsc)) {
  console.error("fdset: the TypeScript compiler is not installed: run 'npm ci' first");
  process.exit(1);
}
try {
  buildAddon({ ifStale: process.argv.includes('--if-stale') });
  execFileSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit', cwd: root });
} catch (error) {
  if (error.status === undefined) console.error(`fdset: ${error.message}`);
  process.exit(1);
}
