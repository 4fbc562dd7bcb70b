// Does what npm packs work by itself: every subpath, the addon, and the command?
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { landlockAbi, seccompAvailable } from '../../src/addon/index.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'fdset-package-'));
after(() => rmSync(folder, { recursive: true }));

/** The package as npm installs it, in a project of its own. It is packed in a copy: packing writes into the tree. */
function install(): string {
  const [tree, project] = [join(folder, 'tree'), join(folder, 'project')];
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'scripts', 'dist/src']) {
    cpSync(join(root, name), join(tree, name), { recursive: true });
  }
  cpSync(join(root, 'build', 'release'), join(tree, 'build', 'release'), { recursive: true });
  // `prepack` without `prepare`, which would build everything anew.
  execFileSync(process.execPath, [join('scripts', 'prebuild.mjs')], { cwd: tree });
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], {
    cwd: tree,
    stdio: 'ignore',
  });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  const modules = join(project, 'node_modules');
  mkdirSync(modules, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, tarball), '-C', modules]);
  execFileSync('mv', [join(modules, 'package'), join(modules, 'fdset')]);
  symlinkSync(join(root, 'node_modules', 'commander'), join(modules, 'commander'));
  return project;
}

test('the packed package has all it needs', () => {
  const project = install();
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const subpaths = Object.keys(exports).filter((name) => name !== './package.json');
  const imports = subpaths.map((name) => `await import('fdset${name.slice(1)}');`).join('');
  const program = `${imports}
    const { Monitor } = await import('fdset/monitor');
    const { QmpClient } = await import('fdset/client');
    const monitor = new Monitor();
    await monitor.listen(${JSON.stringify(join(folder, 'qmp'))});
    const client = await QmpClient.connect(${JSON.stringify(join(folder, 'qmp'))});
    console.log(JSON.stringify(await client.execute('query-fdsets')));
    await client.close();
    await monitor.close();`;
  const run = (args: string[]): string => execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
  assert.equal(run(['--input-type=module', '-e', program]), '[]\n');
  const main = join('node_modules', 'fdset', 'dist', 'src', 'cli', 'main.js');
  assert.match(run([main, '--help']), /storage-daemon/);
  if (landlockAbi() >= 3 && seccompAvailable()) assert.match(run([main, 'demo']), /\(our client\): equal/);
});
