// Does the one build run on every Node from the floor on? Runs the demo and the tests that meet Node's edges with other
// versions, whose programs npm's `node` package brings, and with what is already built: nothing is compiled again.
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

function test(version, folder) {
  const install = ['install', '--silent', '--no-save', '--no-package-lock', '--prefix', folder, `node@${version}`];
  if (!run(`installing node@${version}`, 'npm', install, { cwd: folder })) return false;
  const bin = join(folder, 'node_modules', 'node', 'bin');
  const node = join(bin, 'node');
  // NODE_OPTIONS may name what another Node does not have.
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, NODE_OPTIONS: '' };
  const name = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? version;
  console.log(`== Node ${name}`);
  const demo = run(`the demo with Node ${name}`, node, [join('dist', 'src', 'cli', 'main.js'), 'demo'], { env });
  const tests = run(`the tests with Node ${name}`, node, [join('scripts', 'test.mjs'), '--quiet', ...filters], { env });
  return demo && tests;
}

const failed = versions.filter((version) => {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-node-'));
  const started = performance.now();
  try {
    chmodSync(folder, 0o755); // the tests of the sandbox run this Node as ordinary users
    return !test(version, folder);
  } finally {
    console.log(`   ${Math.round((performance.now() - started) / 1000)} s`);
    rmSync(folder, { recursive: true });
  }
});
if (failed.length > 0) {
  console.error(`fdset: failed with Node ${failed.join(', ')}`);
  process.exit(1);
}
