// The server on real addresses: a Unix socket, a TCP port, and a listening socket that somebody else has made.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectNet } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { socketBind, socketListen, socketMake } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { type NbdAddress, NbdClient, NbdServer, type NbdServerOptions } from '../../src/nbd/index.ts';
import { unixSockaddr } from '../../src/socket/address.ts';
import { type Listener, adoptListener, listenInet, listenUnix } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { MemoryDisk } from './memory-disk.ts';
import { until } from './serve.ts';

checkOpenFds();

const folder = mkdtempSync(join(tmpdir(), 'fdset-nbd-'));
const path = join(folder, 'nbd.sock');
after(() => rmSync(folder, { recursive: true }));

function serve(listener: Listener, options: NbdServerOptions = {}): NbdServer {
  const server = new NbdServer(options);
  server.addExport({ name: '', writable: true, backend: new MemoryDisk(1 << 20) });
  server.listen(listener);
  return server;
}

async function writeAndRead(address: NbdAddress): Promise<void> {
  const client = await NbdClient.connect(address);
  const data = Buffer.alloc(1 << 20, 0x5a);
  await client.write(0, data);
  assert.ok((await client.read(0, 1 << 20)).equals(data));
  await client.disconnect();
}

test('clients come over a Unix socket, whose file goes with the server', async () => {
  const server = serve(listenUnix(path));
  await writeAndRead({ path });
  await server.stop();
  await assert.rejects(NbdClient.connect({ path }), { message: /ENOENT/ });
});

test('clients come over TCP', async () => {
  const listener = listenInet('127.0.0.1', 0);
  const { address } = listener;
  assert.ok('port' in address);
  const server = serve(listener);
  await writeAndRead({ host: '127.0.0.1', port: address.port });
  await server.stop();
});

test('clients come over a listening socket that was passed', async () => {
  const address = unixSockaddr(path);
  const passed = socketMake(address);
  socketBind(passed, address);
  socketListen(passed, 10);
  const server = serve(adoptListener(new OwnedFd(passed)));
  await writeAndRead({ path });
  await server.stop();
});

test('with max-connections 1 the second client waits in the backlog until the first leaves', async () => {
  const server = serve(listenUnix(path), { maxConnections: 1 });
  const first = await NbdClient.connect({ path });
  const second = NbdClient.connect({ path });
  assert.equal((await first.read(0, 512)).length, 512);
  assert.equal(server.connections, 1);
  await first.disconnect();
  const client = await second;
  assert.equal((await client.read(0, 512)).length, 512);
  await client.disconnect();
  await server.stop();
});

test('clients that connect and leave at once cost nothing', async () => {
  const server = serve(listenUnix(path), { maxConnections: 3 });
  for (let count = 0; count < 200; count++) {
    const socket = connectNet(path);
    socket.on('error', () => {});
    socket.on('connect', () => socket.destroy());
    await new Promise((resolve) => void socket.once('close', resolve));
  }
  await writeAndRead({ path });
  await until('all are gone', () => server.connections === 0);
  await server.stop();
});
