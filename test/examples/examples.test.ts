// Do the examples run, as a user runs them? Each imports the package by its name.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { QmpClient } from '../../src/client/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const examples = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'examples');
const folder = temporaryFolder();
const file = join(folder, 'three-lines');
writeFileSync(file, '1\n2\n3\n');

function run(...args: string[]): SpawnSyncReturns<string> {
  // This process is a test of node:test; its child shall be a program like any other.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000, env });
}

// pass-a-file runs in test/client/unprivileged-qemu.test.ts, against real QEMUs.
test('every example has a test', () => {
  const names = readdirSync(examples).filter((name) => name.endsWith('.js'));
  assert.deepEqual(names.map((name) => basename(name, '.js')).toSorted(), [
    'embedded-monitor',
    'pass-a-file',
    'test-a-qmp-client',
  ]);
});

test('embedded-monitor counts the lines of a file that it is handed, and quits', async () => {
  const path = join(folder, 'lines.sock');
  const program = spawn(process.execPath, [join(examples, 'embedded-monitor.js'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(program.stdout, 'data');
  const client = await QmpClient.connect(path);
  const fd = new OwnedFd(openSync(file, 'r'));
  const events = client.events();
  const reply = await client.execute('x-count-lines', { name: 'file' }, { fds: [fd.fd] });
  fd.close();
  assert.deepEqual(reply, { lines: 3 });
  const { value } = await events.next();
  assert.deepEqual([value?.name, value?.data['lines']], ['X_COUNTED', 3]);
  await client.execute('quit');
  await client.close();
  assert.deepEqual(await once(program, 'exit'), [0, null]);
});

test('test-a-qmp-client passes', () => {
  const { status, stdout, stderr } = run('--test', '--test-reporter=tap', join(examples, 'test-a-qmp-client.js'));
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^# pass 4$/m);
});
