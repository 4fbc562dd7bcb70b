// A test of a program that talks to QEMU, without a QEMU: what does it do when all is well, and when things go wrong?
//
//   node --test dist/examples/test-a-qmp-client.js
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { QmpClient } from 'fdset/client';
import { errorReply, TestQemu } from 'fdset/testing';

/** What is tested: it passes an image to QEMU and plugs in a disk on it; where that fails, it takes the image back. */
async function plugDisk(socket: string, image: string, id: string): Promise<void> {
  const client = await QmpClient.connect(socket);
  const fd = openSync(image, 'r+');
  try {
    await client.execute('add-fd', { 'fdset-id': 1 }, { fds: [fd] });
    await client.execute('device_add', { driver: 'virtio-blk', id, drive: '/dev/fdset/1' }).catch(async (error) => {
      await client.execute('remove-fd', { 'fdset-id': 1 });
      throw error;
    });
  } finally {
    closeSync(fd);
    await client.close();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'fdset-example-'));
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(4096));
after(() => rmSync(folder, { recursive: true }));

let qemu: TestQemu;
beforeEach(() => {
  qemu = new TestQemu();
});
afterEach(() => qemu.close()); // fails where the program has left an fd behind

test('the disk that is plugged in is the image, writable', async () => {
  qemu.reply('device_add', {});
  await plugDisk(qemu.path, image, 'disk0');
  const { file } = await qemu.waitFor('add-fd');
  assert.deepEqual([file?.ino, file?.mode], [statSync(image).ino, 'rw']);
  const { arguments: args } = await qemu.waitFor('device_add');
  assert.deepEqual(args, { driver: 'virtio-blk', id: 'disk0', drive: '/dev/fdset/1' });
  await qemu.fdsets.remove(1); // the machine goes on using it; this test is done
});

test('what QEMU refuses is told, and the image is taken back', async () => {
  qemu.reply('device_add', errorReply("Duplicate device ID 'disk0'"));
  await assert.rejects(plugDisk(qemu.path, image, 'disk0'), /Duplicate device ID/);
});

test('a QEMU that loses the fd is told apart from one that has none', async () => {
  qemu.fault('add-fd', { kind: 'lose-fd' });
  await assert.rejects(plugDisk(qemu.path, image, 'disk0'), /No file descriptor supplied/);
});

test('a QEMU that dies in the middle of its answer does not hang the program', async () => {
  qemu.fault('add-fd', { kind: 'drop', afterBytes: 12 });
  await assert.rejects(plugDisk(qemu.path, image, 'disk0'), { code: 'ERR_FDSET_QMP_CLOSED' });
  await qemu.fdsets.remove(1); // a QEMU that dies takes its fds along
});
