// The ready-made types are those of the real programs: generating them again gives the same, but for the names of types
// that this package has learnt since.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();
let root = dirname(fileURLToPath(import.meta.url));
while (!existsSync(join(root, 'package.json'))) root = dirname(root);

/** A file of types without the names of types, which are not the program's. */
function withoutNames(text: string): string {
  return text.replaceAll(/'(?:[^'\\]|\\.)*'|\b[A-Z]\w*[a-z]\w*\b/g, (word) => (word.startsWith("'") ? word : 'Name'));
}

for (const { name, missing } of qemuVersions) {
  test(`npm run types gives src/qemu-types/qemu-${name}.ts`, { skip: missing }, () => {
    execFileSync(process.execPath, [join(root, 'scripts', 'types.mjs'), folder], { stdio: 'ignore' });
    const generated = readFileSync(join(folder, `qemu-${name}.ts`), 'utf8');
    const committed = readFileSync(join(root, 'src', 'qemu-types', `qemu-${name}.ts`), 'utf8');
    assert.ok(withoutNames(generated) === withoutNames(committed), 'run `npm run types` and commit what it writes');
  });
}
