// Runs the compiled tests with node:test, each file in a process of its own.
//
//   npm test [-- FILTER... [--coverage] [--quiet]]     FILTER: part of a path below test/: json, interop/nbdcopy
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiled = join(root, 'dist', 'test');
const filters = process.argv.slice(2).filter((word) => !word.startsWith('--'));

/** A compiled test whose source is gone (a rename) must not run. */
function hasSource(file) {
  const source = join(root, relative(join(root, 'dist'), file)).replace(/\.js$/, '.ts');
  if (existsSync(source)) return true;
  rmSync(file);
  return false;
}

const files = readdirSync(compiled, { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .map((name) => join(compiled, name))
  .filter(hasSource)
  .sort();
if (files.length === 0) {
  console.error(`fdset: no test file matches ${filters.join(' ') || 'dist/test/**/*.test.js'}`);
  process.exit(1);
}
const reporters = [
  process.argv.includes('--quiet') ? 'dot' : 'spec',
  join(root, 'scripts', 'skip-reporter.mjs'),
].flatMap((reporter) => [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout']);
const limits = ['--test-concurrency=2', '--test-timeout=240000'];
const command = [process.execPath, '--enable-source-maps', '--test', ...limits, ...reporters, ...files];
const c8 = [process.execPath, join(root, 'node_modules', 'c8', 'bin', 'c8.js'), '--all', '--src', 'src'];
const [program, ...args] = process.argv.includes('--coverage') ? [...c8, ...command] : command;
const { status, signal } = spawnSync(program, args, { stdio: 'inherit', cwd: root });
process.exit(signal ? 1 : (status ?? 1));
