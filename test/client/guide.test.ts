// Does every block of docs/guide/client.md run, and the README's? Each as a module of its own, against a real QEMU.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missing } from '../programs.ts';
import { emulator, type QemuProcess, startQemu } from '../qemu-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const here = dirname(fileURLToPath(import.meta.url));
const folder = temporaryFolder();
const [socket, image] = [join(folder, 'qmp.sock'), join(folder, 'disk.img')];

function root(): string {
  let found = here;
  while (!existsSync(join(found, 'package.json'))) found = dirname(found);
  return found;
}

const guide = readFileSync(join(root(), 'docs', 'guide', 'client.md'), 'utf8');
const readme = /^```js\n(import \{ QmpClient \}[^]*?)^```$/m.exec(readFileSync(join(root(), 'README.md'), 'utf8'));
const blocks = [...guide.matchAll(/^## ([^\n]*)\n[^#]*?^```js\n([^]*?)^```$/gm)];

test('the guide has a block for commands, files, events and jobs', () => {
  assert.deepEqual(
    blocks.map(([, title]) => title),
    ['Commands', 'Files', 'Events', 'Jobs'],
  );
  assert.equal(guide.match(/^```js$/gm)?.length, blocks.length, 'one each');
});

suite('a block of the guide', { skip: missing(emulator, '--version') }, () => {
  let qemu: QemuProcess;
  before(async () => {
    writeFileSync(image, Buffer.alloc(65_536));
    qemu = await startQemu(socket);
  });
  after(() => qemu.end());

  for (const [title, code] of [...blocks.map((block) => block.slice(1)), ['README', readme![1]]] as [
    string,
    string,
  ][]) {
    test(`${title} runs to its end`, () => {
      // In the package, which imports itself by its name.
      const file = join(here, `guide-${title.toLowerCase()}.mjs`);
      const given = `const [socket, image] = ${JSON.stringify([socket, image])};\n`;
      const script = code.replace(/^(?:import [^\n]*\n)+/, (imports) => imports + given);
      writeFileSync(file, script);
      try {
        const { status, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 30_000 });
        assert.deepEqual([status, stderr], [0, '']);
      } finally {
        rmSync(file);
      }
    });
  }
});
