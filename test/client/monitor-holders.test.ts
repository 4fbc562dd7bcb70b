// Can a tool that waits for a monitor say who holds it?
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { findMonitorHolders } from '../../src/client/monitor-holders.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();
const folder = mkdtempSync(join(tmpdir(), 'fdset-holders-'));
after(() => {
  rmSync(folder, { recursive: true });
});

test('the process at the other end of a connection is named', async () => {
  const path = join(folder, 'qmp.sock');
  const server: Server = createServer().listen(path);
  await once(server, 'listening');
  const script = `require('node:net').connect(${JSON.stringify(path)})`;
  const client: ChildProcess = spawn(process.execPath, ['-e', script]);
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
  const holders = findMonitorHolders(path);
  client.kill();
  await once(client, 'close');
  socket.destroy();
  server.close();
  await once(server, 'close');
  assert.deepEqual(holders, [{ pid: client.pid, command: 'node' }]);
});

test('a path that nobody is bound to has no holders', () => {
  assert.deepEqual(findMonitorHolders(join(folder, 'none')), []);
  assert.deepEqual(findMonitorHolders(folder), []);
});
