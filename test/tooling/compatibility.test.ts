// Does docs/compatibility.md say what the program has? The page has to be what the script writes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

test('docs/compatibility.md is what `npm run compatibility` writes', () => {
  const script = join(root, 'scripts', 'compatibility.mjs');
  const { stdout, stderr } = spawnSync(process.execPath, [script, '--print'], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.equal(readFileSync(join(root, 'docs', 'compatibility.md'), 'utf8'), stdout, 'run npm run compatibility');
});
