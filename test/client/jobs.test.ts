// Jobs of real QEMUs, from the command to the end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobError, type JobProgress, QmpClient } from '../../src/client/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemuVersions, type QemuVersion } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const folder = temporaryFolder();
const size = 4 * 1024 * 1024;

/** A storage daemon on standard input and output: no socket to wait for. */
async function withDaemon(version: QemuVersion, use: (client: QmpClient) => Promise<void>): Promise<void> {
  const [program = '', ...args] = version.command('qemu-storage-daemon');
  const child = spawn(program, [...args, '--chardev', 'stdio,id=c', '--monitor', 'c'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const client = await QmpClient.connect(child);
  try {
    await use(client);
    assert.deepEqual(await client.execute('query-jobs'), [], 'no job is left');
    await client.execute('quit');
    await exit;
  } finally {
    await client.close();
    child.kill('SIGKILL');
  }
}

for (const version of qemuVersions) {
  suite(`a job of QEMU ${version.name}`, { skip: version.missing }, () => {
    const image = (name: string): string => {
      const path = join(folder, `${version.name}-${name}`);
      writeFileSync(path, Buffer.alloc(size, 1));
      return path;
    };
    const add = (client: QmpClient, name: string, options: Record<string, string | boolean | number> = {}) =>
      client.execute('blockdev-add', { driver: 'file', 'node-name': name, filename: image(name), ...options });

    test('blockdev-create makes a file, or fails with the error of the job', () =>
      withDaemon(version, async (client) => {
        const filename = join(folder, `${version.name}-created`);
        await client.runJob('blockdev-create', { options: { driver: 'file', filename, size } });
        assert.equal(statSync(filename).size, size);
        const nowhere = { driver: 'file', filename: join(folder, 'nowhere', 'f'), size };
        await assert.rejects(client.runJob('blockdev-create', { options: nowhere, 'job-id': 'mine' }), (error) => {
          assert.ok(error instanceof JobError);
          assert.equal(error.id, 'mine');
          assert.match(error.desc, /Could not create .*: No such file or directory/);
          return true;
        });
      }));

    test('a mirror is completed when it is ready, and its progress told', () =>
      withDaemon(version, async (client) => {
        await add(client, 'source');
        await add(client, 'target');
        const told: JobProgress[] = [];
        let ready = 0;
        const args = { device: 'source', target: 'target', sync: 'full' };
        const end = await client.runJob('blockdev-mirror', args, {
          progressIntervalMs: 5,
          onProgress: (progress) => told.push(progress),
          onReady: () => void ready++,
        });
        assert.equal(ready, 1);
        assert.deepEqual([end.type, end.status, end.current], ['mirror', 'concluded', size]);
        assert.deepEqual(told.at(-1), end);
      }));

    test('what waits for its finalization is finalized', () =>
      withDaemon(version, async (client) => {
        await add(client, 'source2');
        await add(client, 'target2');
        const args = { device: 'source2', target: 'target2', sync: 'full', 'auto-finalize': false };
        assert.equal((await client.runJob('blockdev-backup', args)).type, 'backup');
      }));

    test('a signal cancels it, and the wait goes on to its end', () =>
      withDaemon(version, async (client) => {
        await add(client, 'source3');
        await add(client, 'target3');
        const controller = new AbortController();
        const args = { device: 'source3', target: 'target3', sync: 'full', speed: 65_536 };
        const job = client.runJob('blockdev-mirror', args, { signal: controller.signal });
        await sleep(50);
        controller.abort(new Error('enough'));
        await assert.rejects(job, /^Error: enough$/);
      }));

    test('a command that is refused starts no job', () =>
      withDaemon(version, async (client) => {
        await assert.rejects(client.runJob('blockdev-mirror', { device: 'none', target: 'none', sync: 'full' }), {
          name: 'QmpError',
        });
        await assert.rejects(client.runJob('nonsense', {}), { name: 'QmpError' });
      }));
  });
}
