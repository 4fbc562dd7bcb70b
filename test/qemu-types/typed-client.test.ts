// What does `QmpClient<Qemu10>` know? The compiler is the judge: this file compiles, or the build fails. Nothing of it runs
// but one call to each real QEMU, to see that the types tell the truth.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { type Qemu10, type Qemu7, QmpClient } from '../../src/client/index.ts';
import type { BlockdevOptions, BlockdevRef } from '../../src/qemu-types/qemu-10.0.ts';
import { checkOpenFds } from '../open-fds.ts';
import { startMachine } from '../qemu-process.ts';
import { qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

/** Never run. */
async function typedCommands(client: QmpClient<Qemu10>): Promise<void> {
  const status = await client.execute('query-status');
  const state: 'running' | 'paused' | 'prelaunch' | undefined = status.status === 'running' ? status.status : undefined;
  // @ts-expect-error -- a result has no such member
  void status.state;
  // @ts-expect-error -- running is a boolean
  const wrong: string = status.running;
  const added = await client.execute('add-fd', { 'fdset-id': 1n, opaque: 'disk' });
  const set: number | bigint = added['fdset-id'];
  // @ts-expect-error -- 64 bits do not fit into a number: the type says so
  const narrow: number = added['fdset-id'];
  // @ts-expect-error -- there is no such argument
  void client.execute('add-fd', { fdset: 1 });
  // @ts-expect-error -- a mandatory argument is missing
  void client.execute('remove-fd', {});
  // @ts-expect-error -- the arguments are missing
  void client.execute('remove-fd');
  void client.execute('device_add', { driver: 'scsi-hd', drive: 'n', 'share-rw': true });
  const unknown: unknown = await client.execute('x-of-the-future', { any: ['thing'] });
  void [state, wrong, set, narrow, unknown];
}

/** Never run. */
function typedUnions(client: QmpClient<Qemu10>): void {
  void client.execute('blockdev-add', {
    driver: 'qcow2',
    'node-name': 'q',
    'lazy-refcounts': true,
    file: { driver: 'file', filename: '/dev/fdset/1' },
    backing: null,
  });
  const reference: BlockdevRef = 'node';
  const whole: BlockdevRef = { driver: 'null-co' };
  // @ts-expect-error -- lazy-refcounts is of qcow2
  const raw: BlockdevOptions = { driver: 'raw', file: 'node', 'lazy-refcounts': true };
  // @ts-expect-error -- qcow2 needs its file
  const incomplete: BlockdevOptions = { driver: 'qcow2' };
  // @ts-expect-error -- there is no such driver
  const unheard: BlockdevOptions = { driver: 'qcow3' };
  // @ts-expect-error -- only a backing file may be null
  const nothing: BlockdevRef = null;
  void [reference, whole, raw, incomplete, unheard, nothing];
}

/** Never run. */
async function typedEvents(client: QmpClient<Qemu10>): Promise<void> {
  const { data } = await client.waitForEvent('JOB_STATUS_CHANGE');
  const id: string = data.id;
  // @ts-expect-error -- no such status
  const isDone: boolean = data.status === 'done';
  for await (const event of client.events(['DEVICE_DELETED', 'STOP'])) {
    if (event.name === 'DEVICE_DELETED') void event.data.path.length;
    // @ts-expect-error -- only DEVICE_DELETED has a path
    else void event.data.path.length;
  }
  void [id, isDone];
}

/** Never run: what 10.0 has and 7.2 lacks, and the other way round. */
function typedVersions(seven: QmpClient<Qemu7>, ten: QmpClient<Qemu10>): void {
  void ten.execute('blockdev-set-active', { active: false });
  // @ts-expect-error -- since QEMU 10.0: for 7.2 the result is unknown
  void seven.execute('blockdev-set-active', { active: false }).then((nothing: Record<string, never>) => nothing);
}

/** Never run: a job needs no name. */
async function typedJobs(client: QmpClient<Qemu10>): Promise<void> {
  const options = { driver: 'file', filename: 'image', size: 1 } as const;
  await client.runJob('blockdev-create', { options });
  await client.runJob('blockdev-create', { 'job-id': 'mine', options });
  // @ts-expect-error -- a mandatory argument is missing
  await client.runJob('blockdev-create', {});
  // @ts-expect-error -- a wrong type
  await client.runJob('blockdev-create', { 'job-id': 1, options });
}

void [typedJobs, typedCommands, typedUnions, typedEvents, typedVersions];

const folder = temporaryFolder();
for (const version of qemuVersions) {
  test(`QEMU ${version.name} answers as its types say`, { skip: version.missing }, async () => {
    const socket = join(folder, `qemu-${version.name}.sock`);
    const qemu = await startMachine(version, socket);
    const client = await QmpClient.connect<Qemu10>(socket);
    try {
      const status = await client.execute('query-status');
      assert.deepEqual([status.status, status.running], ['prelaunch', false]);
      const [machine] = await client.execute('query-machines');
      assert.equal(typeof machine?.['cpu-max'], 'number');
    } finally {
      await client.close();
      await qemu.end();
    }
  });
}
