// Does each gate of `npm run check` refuse what it is there for? One canary a gate: a small tree that passes, and the
// same tree with one offence, which must fail and be named.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const trees: string[] = [];
after(() => {
  for (const tree of trees) rmSync(tree, { recursive: true });
});

/** A package in a temporary folder with this project's gates and the given files. */
function makeTree(files: Record<string, string>): string {
  const tree = mkdtempSync(join(tmpdir(), 'fdset-gate-'));
  trees.push(tree);
  const configs = ['tsconfig.json', 'oxlint.config.mjs', '.prettierrc.json', '.prettierignore', 'package.json'];
  for (const name of [...configs, 'knip.json', 'scripts', 'LICENSE']) {
    cpSync(join(root, name), join(tree, name), { recursive: true, filter: isSelfContained });
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const [name, text] of Object.entries({ ...healthy, ...files })) {
    mkdirSync(dirname(join(tree, name)), { recursive: true });
    writeFileSync(join(tree, name), text);
  }
  return tree;
}

/** Not a script about the code of this project, which the small tree does not have. */
function isSelfContained(path: string): boolean {
  return !path.endsWith('.mjs') || !readFileSync(path, 'utf8').includes("'../dist/");
}

const healthy: Record<string, string> = {
  'src/index.ts': "export { one } from './json/index.ts';\n",
  'src/json/index.ts': 'export const one = 1;\n',
  'src/cli/main.ts':
    "#!/usr/bin/env node\nimport { Command } from 'commander';\n\nimport { one } from '../json/index.ts';\n\nconsole.log(one, Command);\n",
  'test/json/one.test.ts':
    "import { assert, integer, property } from 'fast-check';\n\nassert(property(integer(), Number.isInteger));\n",
  'native/empty.c': 'int fdset_empty;\n',
  ...Object.fromEntries(
    ['index', 'client/index', 'embed/index', 'testing/index', 'qemu-types/qemu-10.0', 'qemu-types/qemu-7.2'].flatMap(
      (name) => [
        [`dist/src/${name}.js`, 'export const one = 1;\n'],
        [`dist/src/${name}.d.ts`, 'export declare const one = 1;\n'],
      ],
    ),
  ),
  ...Object.fromEntries(
    ['main', 'storage-daemon-main'].map((name) => [`dist/src/cli/${name}.js`, '#!/usr/bin/env node\n']),
  ),
  'README.md': '# canary\n',
};

function runGate(gate: string, files: Record<string, string>): { status: number | null; output: string } {
  const tree = makeTree(files);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/check.mjs', gate], {
    cwd: tree,
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, output: stdout + stderr };
}

function canary(title: string, gate: string, offence: Record<string, string>, says: RegExp): void {
  test(title, () => {
    const { status, output } = runGate(gate, offence);
    assert.equal(status, 1, output);
    assert.match(output, says);
  });
}

for (const gate of ['types', 'lint', 'format', 'lazy-imports', 'native', 'dead-code', 'package']) {
  test(`a healthy tree passes the gate ${gate}`, () => {
    const { status, output } = runGate(gate, {});
    assert.equal(status, 0, output);
  });
}

canary('a wrong type is refused', 'types', { 'src/json/index.ts': "export const one: number = 'one';\n" }, /TS2322/);
canary(
  'an import that climbs the layers is refused',
  'lint',
  {
    'src/json/index.ts': "export { two as one } from '../qapi/index.ts';\n",
    'src/qapi/index.ts': 'export const two = 2;\n',
  },
  /src\/json\/ imports from lower layers only/,
);
canary(
  'an import between folders of one layer is refused',
  'lint',
  { 'src/fds/index.ts': "export { two } from '../qmp/index.ts';\n", 'src/qmp/index.ts': 'export const two = 2;\n' },
  /src\/fds\/ imports from lower layers only/,
);
canary(
  'an import past an index.ts is refused',
  'lint',
  { 'src/qmp/index.ts': "export { one } from '../json/value.ts';\n", 'src/json/value.ts': 'export const one = 1;\n' },
  /enter another folder through its index\.ts/,
);
canary(
  'loading native code outside src/addon is refused',
  'lint',
  { 'src/qmp/index.ts': "import { createRequire } from 'node:module';\n\nexport const load = createRequire;\n" },
  /only src\/addon\/ loads native code/,
);
canary(
  'an import cycle is refused',
  'lint',
  {
    'src/json/a.ts': "import { b } from './b.ts';\n\nexport const a = (): unknown => b;\n",
    'src/json/b.ts': "import { a } from './a.ts';\n\nexport const b = (): unknown => a;\n",
  },
  /no-cycle/,
);
canary(
  'a promise nobody waits for is refused',
  'lint',
  { 'src/json/index.ts': 'export const one = 1;\nasync function wait(): Promise<void> {}\nwait();\n' },
  /no-floating-promises/,
);
canary('bad formatting is refused', 'format', { 'src/json/index.ts': 'export const one=1\n' }, /src\/json\/index\.ts/);
canary(
  'an export that nobody uses is refused',
  'dead-code',
  {
    'src/json/index.ts': "export { one } from './value.ts';\n",
    'src/json/value.ts': 'export const one = 1;\nexport const two = 2;\n',
  },
  /two/,
);
canary(
  'an import() in src/ is refused',
  'lazy-imports',
  {
    'src/json/index.ts': "export const one = 1;\nexport const later = () => import('./value.ts');\n",
    'src/json/value.ts': 'export {};\n',
  },
  /src\/json\/index\.ts: import\(\)/,
);
canary(
  'a C conversion that loses bits is refused',
  'native',
  { 'native/lossy.c': 'int fdset_lossy(long value);\nint fdset_lossy(long value) {\n    return value;\n}\n' },
  /conversion/,
);
canary(
  'a leak that the analyzer sees is refused',
  'native',
  {
    'native/leak.c':
      '#include <stdlib.h>\nint fdset_leak(void);\nint fdset_leak(void) {\n    char *p = malloc(1);\n    return p ? 0 : 1;\n}\n',
  },
  /leak/,
);
canary(
  'an export that does not resolve is refused',
  'package',
  { 'package.json': brokenPackage() },
  /missing|does not exist|resolution/i,
);

function brokenPackage(): string {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  manifest['exports'] = { '.': './dist/src/index.js', './gone': './dist/src/gone.js' };
  return JSON.stringify(manifest);
}
