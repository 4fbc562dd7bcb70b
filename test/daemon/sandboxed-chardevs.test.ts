// Character devices of a sandboxed daemon: what its starter makes for it, and what it cannot make itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { listenUnix } from '../../src/socket/index.ts';
import { fdset, fdsetMain, FdsetProcess } from '../cli/fdset-process.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const folder = temporaryFolder();
const hint = ": this daemon is in a sandbox: pass a socket with getfd and use an address of type 'fd'";

test('its sockets are made outside, whichever way they go; inside a path leads nowhere', async () => {
  const [path, peerPath] = [join(folder, 'qmp'), join(folder, 'peer')];
  const peer = net.createServer().listen(peerPath);
  await once(peer, 'listening');
  const connecting = once(peer, 'connection') as Promise<[net.Socket]>;
  const daemon = new FdsetProcess(
    'storage-daemon',
    '--sandbox=try',
    `--chardev=socket,id=m,path=${path},server=on,wait=off`,
    `--chardev=socket,id=c,path=${peerPath}`,
    '--chardev=socket,id=t,host=localhost,port=0,ipv4=on,server=on,wait=off',
    ...['m', 'c', 't'].map((id) => `--monitor=${id}`),
  );
  const [client] = await connecting;
  const [greeting] = (await once(client.setEncoding('utf8'), 'data')) as [string];
  assert.match(greeting, /^\{"QMP"/);
  const gone = once(client, 'close');

  const qmp = await QmpConnection.open(path);
  await qmp.read(1);
  qmp.send('{"execute": "qmp_capabilities"}');
  await qmp.read(1);
  const add = (data: object, fds: number[] = []): Promise<string> => {
    const request = { execute: 'chardev-add', arguments: { id: 'x', backend: { type: 'socket', data } } };
    qmp.send(JSON.stringify(request), fds);
    return qmp.read(1);
  };
  const refusal = (text: string): string =>
    `{"error": {"class": "GenericError", "desc": "Failed to add chardev 'x': ${text}: Permission denied${hint}"}}\r\n`;
  const unix = { type: 'unix', data: { path: peerPath } };
  const inet = { type: 'inet', data: { host: '127.0.0.1', port: '1' } };
  const other = join(folder, 'other');
  assert.equal(
    await add({ addr: { type: 'unix', data: { path: other } } }),
    refusal(`Failed to bind socket to ${other}`),
  );
  assert.equal(await add({ addr: unix, server: false }), refusal(`Failed to connect to '${peerPath}'`));
  assert.equal(await add({ addr: inet }), refusal('Failed to create a socket'));
  assert.equal(await add({ addr: inet, server: false }), refusal("Failed to connect to '127.0.0.1:1'"));
  const start = { execute: 'nbd-server-start', arguments: { addr: { type: 'unix', data: { path: other } } } };
  qmp.send(JSON.stringify(start));
  const desc = `Failed to bind socket to ${other}: Permission denied${hint}`;
  assert.equal(await qmp.read(1), `{"error": {"class": "GenericError", "desc": "${desc}"}}\r\n`);

  const listener = listenUnix(other);
  qmp.send('{"execute": "getfd", "arguments": {"fdname": "f"}}', [listener.fd]);
  await qmp.read(1);
  assert.equal(await add({ addr: { type: 'fd', data: { str: 'f' } } }), '{"return": {}}\r\n');
  listener.close();

  qmp.send('{"execute": "quit"}');
  await gone;
  qmp.close();
  peer.close();
  await once(daemon.child, 'close');
  assert.equal(daemon.child.exitCode, 0, daemon.stderr);
});

test('what it cannot have is refused before it starts', () => {
  const device = `socket,id=c,path=${join(folder, 'x')},reconnect-ms=5`;
  const { code, stderr } = fdset('storage-daemon', '--sandbox', 'try', '--chardev', device);
  const reason = 'a daemon in the sandbox cannot connect again: let it listen, or leave reconnect-ms out';
  assert.deepEqual([code, stderr], [1, `fdset storage-daemon: --chardev ${device}: ${reason}\n`]);
  const logged = `socket,id=c,path=${join(folder, 'x')},server=on,wait=off,logfile=${join(folder, 'log')}`;
  assert.equal(
    fdset('storage-daemon', '--sandbox', 'try', '--chardev', logged).stderr,
    `fdset storage-daemon: --chardev ${logged}: 'logfile' is not there yet: leave it out\n`,
  );
});

test('a signal ends the wait for a peer that does not accept, and the sockets made so far are gone', async () => {
  const [path, full] = [join(folder, 'early'), join(folder, 'full')];
  const listener = listenUnix(full, { backlog: 0 });
  const first = net.connect(full);
  await once(first, 'connect');
  const daemon = new FdsetProcess(
    'storage-daemon',
    '--sandbox=try',
    `--chardev=socket,id=m,path=${path},server=on,wait=off`,
    `--chardev=socket,id=c,path=${full}`,
  );
  await daemon.untilFile(path);
  const { code, stderr } = await daemon.end('SIGTERM');
  assert.deepEqual([code, stderr, existsSync(path)], [0, '', false]);
  first.destroy();
  listener.close();
});

test('standard input and output reach it through pipes', async () => {
  const daemon = spawn(
    process.execPath,
    [fdsetMain, 'storage-daemon', '--sandbox=try', '--chardev=stdio,id=s', '--monitor=s'],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  const exit = once(daemon, 'exit') as Promise<[number]>;
  daemon.stdin.end('{"execute": "qmp_capabilities"}{"execute": "query-fdsets"}{"execute": "quit"}');
  const text = (await daemon.stdout.toArray()).join('');
  assert.match(text, /^\{"QMP": .*\r\n\{"return": \{\}\}\r\n\{"return": \[\]\}\r\n\{"return": \{\}\}\r\n$/);
  assert.deepEqual(await exit, [0, null]);
});
