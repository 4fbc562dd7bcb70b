// The gates: everything but the tests that a change has to pass.
//
//   npm run check                    all of them
//   node scripts/check.mjs GATE...   some of them, in the current folder
//
// test/tooling/ holds a canary for each gate: a tree with one offence, which the gate must refuse.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = process.cwd();
const bin = (pkg, path) => join(root, 'node_modules', pkg, path);

function run(file, args) {
  const { status, error } = spawnSync(file, args, { stdio: 'inherit', cwd: root });
  if (error) console.error(`${file}: ${error.message}`);
  return status === 0;
}
const node = (...args) => run(process.execPath, args);

function types() {
  return node(bin('typescript', 'bin/tsc'), '-p', root, '--noEmit');
}

function lint() {
  const folders = ['src', 'test', 'bench', 'examples', 'scripts'].filter((name) => readdirSync(root).includes(name));
  const config = ['-c', join(root, 'oxlint.config.mjs'), '--type-aware', '--deny-warnings'];
  return node(bin('oxlint', 'bin/oxlint'), ...config, ...folders);
}

function format() {
  return node(bin('prettier', 'bin/prettier.cjs'), '--check', '--log-level', 'warn', '.');
}

function deadCode() {
  return node(bin('knip', 'bin/knip.js'), '--no-progress');
}

/** Once the sandbox is closed nothing can be loaded, so src/ has no import() that runs later. */
function lazyImports() {
  const files = readdirSync(join(root, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  const lazy = files.filter((name) => /(?<![\w.])import\(/.test(code(join(root, 'src', name))));
  for (const name of lazy) console.error(`src/${name}: import() would run inside the sandbox: import it at the top`);
  return files.length > 0 && lazy.length === 0;
}

/** A file without its comments and without `import('…')` types. */
function code(file) {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\//g, '');
  return text.replaceAll(/^\s*\/\/.*$/gm, '').replaceAll(/(?<=[:<|]\s*|typeof )import\('/g, '');
}

/** The package as it would be published: exports that resolve, types that belong to them. */
function packed() {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-pack-'));
  try {
    if (!run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder])) return false;
    const tarball = join(folder, readdirSync(folder)[0]);
    const typesFit = node(bin('@arethetypeswrong/cli', 'dist/index.js'), tarball, '--profile', 'esm-only');
    return node(bin('publint', 'src/cli.js'), tarball, '--strict') && typesFit;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function native() {
  return node(join(root, 'scripts', 'build-addon.mjs'), '--analyze');
}

const gates = { types, lint, format, 'dead-code': deadCode, 'lazy-imports': lazyImports, native, package: packed };

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(gates);
const failed = [];
for (const name of wanted) {
  const gate = gates[name];
  if (!gate) {
    console.error(`fdset: no gate '${name}': there are ${Object.keys(gates).join(', ')}`);
    process.exit(2);
  }
  console.log(`== ${name}`);
  if (!gate()) failed.push(name);
}
if (failed.length > 0) {
  console.error(`fdset: failed: ${failed.join(', ')}`);
  process.exit(1);
}
