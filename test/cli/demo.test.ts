// fdset demo as `npm start` runs it: the proof without a terminal, and what is left of it when it is interrupted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { landlockAbi, seccompAvailable } from '../../src/addon/index.ts';
import { FdsetProcess } from './fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();

const unprotected = (landlockAbi() < 3 || !seccompAvailable()) && 'needs Landlock ABI 3 and seccomp';

function startDemo(name: string, sandbox = 'try'): { demo: FdsetProcess; files: string } {
  const files = join(folder, name);
  mkdirSync(files);
  process.env['TMPDIR'] = files;
  const demo = new FdsetProcess('demo', '--sandbox', sandbox);
  demo.child.stdin.end();
  return { demo, files };
}

test('without a terminal the demo ends with 0 once the checksums are equal', { skip: unprotected }, async () => {
  const { demo, files } = startDemo('whole');
  const [code] = (await once(demo.child, 'close')) as [number];
  assert.equal(code, 0, demo.stderr);
  assert.match(demo.stdout, /our client\): equal/);
  assert.deepEqual(readdirSync(files), []);
});

test('without a sandbox the demo ends with 1, equal checksums or not', async () => {
  const { demo } = startDemo('open', 'off');
  const [code] = (await once(demo.child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(demo.stdout, /our client\): equal/);
  assert.match(demo.stderr, /the sandbox is not active \(--sandbox off\)/);
});

for (const step of ['image', 'daemon']) {
  test(`interrupted at the step '${step}', the demo leaves nothing behind`, async () => {
    const { demo, files } = startDemo(step);
    await demo.until(new RegExp(`^${step} `, 'm'));
    const { code } = await demo.end('SIGINT');
    assert.equal(code, 1, demo.stderr);
    assert.deepEqual(readdirSync(files), []);
    const [, socket] = /monitor (\S+)\/qmp\.sock/.exec(demo.stdout) ?? [];
    if (socket !== undefined) assert.throws(() => readdirSync(socket), { code: 'ENOENT' });
  });
}
