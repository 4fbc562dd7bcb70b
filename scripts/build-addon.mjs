// Builds the Node-API addon with plain `cc`: one shared object from native/*.c, no node-gyp, no Python, no make.
//
//   node scripts/build-addon.mjs [--if-stale] [--sanitize] [--analyze]
//
// CC and CFLAGS are honoured. --sanitize builds build/sanitize/fdset.node with ASan and UBSan; --analyze only runs
// gcc's -fanalyzer over the sources and fails on its first finding.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'native');
const sources = readdirSync(native)
  .filter((name) => name.endsWith('.c'))
  .sort();
const inputs = readdirSync(native).map((name) => join(native, name));

export const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Wstrict-prototypes', '-Werror'];

function isStale(output) {
  if (!existsSync(output)) return true;
  const built = statSync(output).mtimeMs;
  return inputs.some((input) => statSync(input).mtimeMs > built);
}

function compile(output, flags) {
  const require = createRequire(import.meta.url);
  const includes = require('node-api-headers').include_dir;
  const cc = process.env.CC ?? 'cc';
  const extra = process.env.CFLAGS?.split(/\s+/).filter(Boolean) ?? [];
  const partial = `${output}.${process.pid}`;
  mkdirSync(dirname(output), { recursive: true });
  const language = ['-std=gnu11', '-O2', '-g', '-fPIC', '-shared', '-pthread', '-fvisibility=hidden'];
  const defines = ['-DNAPI_VERSION=9', `-I${includes}`];
  const files = ['-o', partial, ...sources.map((name) => join(native, name))];
  const args = [...language, ...defines, ...warnings, ...flags, ...extra, ...files];
  try {
    execFileSync(cc, args, { stdio: 'inherit' });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(
      `no C compiler: '${cc}' was not found. Install one (Debian: apt-get install gcc libc6-dev) or set CC.`,
      { cause: error },
    );
  }
  renameSync(partial, output); // a running process keeps the old file
}

export function buildAddon({ ifStale = false, sanitize = false } = {}) {
  const output = join(root, 'build', sanitize ? 'sanitize' : 'release', 'fdset.node');
  if (ifStale && !isStale(output)) return output;
  compile(output, sanitize ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-O1'] : []);
  return output;
}

function analyze() {
  const output = join(root, 'build', 'analyze', 'fdset.node');
  compile(output, ['-fanalyzer']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flags = new Set(process.argv.slice(2));
  if (flags.has('--analyze')) analyze();
  else buildAddon({ ifStale: flags.has('--if-stale'), sanitize: flags.has('--sanitize') });
}
