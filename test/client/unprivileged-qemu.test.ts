// The program of examples/pass-a-file.ts and the client's file functions, against QEMUs that may open nothing themselves.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readlinkSync, readdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { QmpClient } from '../../src/client/index.ts';
import { withDaemon } from '../daemon/daemon-under-test.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { QemuOfNobody } from './qemu-of-nobody.ts';

checkOpenFds();

const example = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'examples', 'pass-a-file.js');
const folder = temporaryFolder();
chmodSync(folder, 0o711);
const closed = join(folder, 'closed');
const image = join(closed, 'disk.img');
mkdirSync(closed, { mode: 0o700 });
writeFileSync(image, Buffer.alloc(1024 * 1024));
const notRoot = process.getuid?.() !== 0 && 'only root can start a QEMU as nobody';

for (const version of qemuVersions) {
  suite(`QEMU ${version.name} as nobody`, { skip: version.missing || notRoot }, () => {
    test('pass-a-file plugs in a disk that QEMU could not open, and leaves nothing behind', async () => {
      const qemu = await QemuOfNobody.start(version, folder);
      try {
        const before = qemu.openFds();
        const { stdout } = await promisify(execFile)(process.execPath, [example, qemu.socket, image]);
        assert.equal(stdout, `QEMU uses ${image} as /dev/fdset/0\nfd sets left: 0\n`);
        assert.deepEqual(qemu.openFds(), before);
      } finally {
        await qemu.end();
      }
    });

    test('what a path is refused, an fd is not', async () => {
      const qemu = await QemuOfNobody.start(version, folder);
      const client = await QmpClient.connect(qemu.socket);
      try {
        const node = (filename: string) => ({ driver: 'file', 'node-name': 'n', filename });
        await assert.rejects(client.execute('blockdev-add', node(image)), /Permission denied/);
        const handle = await open(image, 'r+');
        const added = await client.addFd(handle, { opaque: 'disk' });
        await handle.close();
        assert.deepEqual(await client.queryFdsets(), [{ set: 0, fds: [{ fd: added.fd, opaque: 'disk' }] }]);
        assert.equal(readlinkSync(`/proc/${qemu.child.pid}/fd/${added.fd}`), image);
        await client.execute('blockdev-add', node(added.path));
        await client.execute('blockdev-del', { 'node-name': 'n' });
        await client.removeFd(added.set, added.fd);
        assert.deepEqual(await client.queryFdsets(), []);
      } finally {
        await client.close();
        await qemu.end();
      }
    });

    test('files are removed over another connection where the first is lost', async () => {
      const qemu = await QemuOfNobody.start(version, folder);
      const client = await QmpClient.connect(qemu.socket);
      try {
        const files = [{ path: image, mode: 'rw' } as const, { path: image, mode: 'r' } as const];
        const lost = client.withFdset(files, ({ fds }) => {
          assert.equal(fds.length, 2);
          client.destroy(new Error('pulled'));
          throw new Error('left');
        });
        await assert.rejects(lost, /^Error: left$/);
        const other = await QmpClient.connect(qemu.socket);
        assert.deepEqual(await other.queryFdsets(), []);
        await other.close();
      } finally {
        await qemu.end();
      }
    });
  });
}

test('our storage daemon is left as it was, too', () =>
  withDaemon(folder, async (daemon) => {
    const client = await daemon.client();
    const files = [{ path: image, mode: 'rw' } as const];
    await client.withFdset(files, async ({ path, fds }) => {
      const links = readdirSync(`/proc/${daemon.pid}/fd`);
      assert.ok(fds.every((fd) => links.includes(String(fd))));
      await client.execute('blockdev-add', { driver: 'file', 'node-name': 'n', filename: path });
      await client.execute('blockdev-del', { 'node-name': 'n' });
    });
    assert.deepEqual(await client.queryFdsets(), []);
  }));
