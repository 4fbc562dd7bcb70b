// Do the layer table, the folders of src/ and the drawing in docs/architecture.md agree?
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const table = pathToFileURL(join(root, 'scripts', 'layers.mjs')).href;
const { layers } = (await import(table)) as { layers: string[][] };

test('every folder of src/ stands in the layer table', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map((entry) => entry.name).toSorted(), layers.flat().toSorted());
});

test('docs/architecture.md draws the layers of the table', () => {
  const text = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8');
  const drawn = [...text.matchAll(/^L(\d) {2}(.*)$/gm)].map((match) => match[2]!.trim().split(/\s+/));
  assert.deepEqual(drawn, layers);
});
