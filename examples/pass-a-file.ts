// Plugs a disk image into a running QEMU that could not open it, and unplugs it again. QEMU may run as nobody and under a
// folder that nobody cannot enter: who runs this opens the image, and QEMU gets the open file.
//
//   qemu-system-x86_64 … -device virtio-scsi-pci -qmp unix:qmp.sock,server=on,wait=off
//   node dist/examples/pass-a-file.js qmp.sock disk.img
import { QmpClient } from 'fdset/client';

const [socket, image] = process.argv.slice(2);
if (socket === undefined || image === undefined) throw new Error('usage: pass-a-file QMP_SOCKET IMAGE');

const client = await QmpClient.connect(socket);
await client.withFdset([{ path: image, mode: 'rw' }], async ({ path }) => {
  const file = { driver: 'file', filename: path };
  await client.execute('blockdev-add', { driver: 'raw', 'node-name': 'disk', file });
  await client.execute('device_add', { driver: 'scsi-hd', id: 'hd', drive: 'disk' });
  console.log(`QEMU uses ${image} as ${path}`);

  // Subscribe, then ask: the event cannot come too early.
  const unplugged = client.waitForEvent('DEVICE_DELETED', {
    where: ({ data }) => data['device'] === 'hd',
    timeoutMs: 10_000,
  });
  await client.execute('device_del', { id: 'hd' });
  await unplugged;
  await client.execute('blockdev-del', { 'node-name': 'disk' });
}); // removes the file from QEMU's fd sets, also where something above has failed
console.log(`fd sets left: ${(await client.queryFdsets()).length}`);
await client.close();
