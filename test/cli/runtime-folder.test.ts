// The folder of a serve: removed with it, or, where it was killed, by the next one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { makeRuntimeFolder } from '../../src/cli/runtime-folder.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const base = process.getuid!() === 0 ? '/run/fdset' : join(temporaryFolder(), 'fdset');
const environment = { XDG_RUNTIME_DIR: join(base, '..') };

/** Long enough ago for a lock to be expected. */
function makeOld(path: string): void {
  const then = new Date(Date.now() - 3_600_000);
  utimesSync(path, then, then);
}

test('what a killed process has left goes, what a running one holds stays', async () => {
  mkdirSync(base, { recursive: true });
  const left = join(base, `serve-left-${process.pid}`);
  const other = join(base, `other-${process.pid}`);
  for (const folder of [left, other]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'qmp.sock'), '');
    makeOld(folder);
  }
  const held = await makeRuntimeFolder(environment);
  assert.equal(existsSync(left), false);
  assert.equal(existsSync(other), true);
  assert.equal(statSync(held.path).mode & 0o777, 0o700);

  makeOld(held.path);
  const young = join(base, `serve-young-${process.pid}`);
  mkdirSync(young);
  // Another process: to the one that holds it a lock of its own would be no hindrance elsewhere either.
  const script = `import(${JSON.stringify(new URL('../../src/cli/runtime-folder.js', import.meta.url))})
    .then(({ makeRuntimeFolder }) => makeRuntimeFolder(${JSON.stringify(environment)})).then((one) => one.remove())`;
  assert.equal(spawnSync(process.execPath, ['-e', script], { stdio: 'inherit' }).status, 0);
  assert.equal(existsSync(held.path), true);
  assert.equal(existsSync(young), true);
  held.remove();
  assert.equal(existsSync(held.path), false);
  for (const folder of [other, young]) spawnSync('rm', ['-r', folder]);
});
