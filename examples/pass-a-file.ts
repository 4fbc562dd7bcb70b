// Hands an open file to a QMP server, real QEMU or fdset: what `fdset add` does, in a program.
//
//   node dist/examples/pass-a-file.js qmp.sock disk.img
import { closeSync, openSync } from 'node:fs';
import { QmpClient } from 'fdset/client';

const [socket, path] = process.argv.slice(2);
if (socket === undefined || path === undefined) throw new Error('usage: pass-a-file QMP_SOCKET FILE');

const client = await QmpClient.connect(socket);
const fd = openSync(path, 'r');
const added = (await client.execute('add-fd', { opaque: path }, { fds: [fd] })) as { 'fdset-id': number };
closeSync(fd); // the server has one of its own
console.log(`QEMU opens it as /dev/fdset/${added['fdset-id']}`);
await client.close();
