// Who may connect to what `fdset serve` serves? The user who started it and root; --allow-uid names others. The kernel
// says who is at the other end, whatever the mode of the socket's file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { missing } from '../programs.ts';
import { fdset, FdsetProcess } from './fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();
chmodSync(folder, 0o755);
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));

/** Connects as another user; what the server greets with, empty where it closes the connection. */
function greeting(uid: number, socket: string): string {
  const code = [
    'import socket, sys',
    's = socket.socket(socket.AF_UNIX)',
    's.settimeout(5)',
    's.connect(sys.argv[1])',
    'sys.stdout.write(s.recv(8).decode())',
  ].join('\n');
  const user = ['--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups'];
  const { status, stdout, stderr } = spawnSync('setpriv', [...user, 'python3', '-c', code, socket], {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

const skip = process.getuid!() === 0 ? missing('setpriv') || missing('/usr/bin/python3') : 'needs root, to be others';

test('a user who is allowed is served, another one is turned away', { skip }, async () => {
  const socket = join(folder, 'nbd.sock');
  const running = new FdsetProcess(
    'serve',
    '--json',
    image,
    '--sandbox',
    'try',
    '--socket',
    socket,
    '--allow-uid',
    '1234',
  );
  await running.until(/\n/);
  assert.equal(greeting(1234, socket), 'NBDMAGIC');
  assert.equal(greeting(1235, socket), '');
  assert.equal(greeting(0, socket), 'NBDMAGIC');
  const { code, stderr } = await running.end();
  assert.deepEqual([code, stderr], [0, '']);
});

test('a monitor turns away whom it does not know', { skip }, async () => {
  const socket = join(folder, 'qmp.sock');
  const chardev = `socket,id=c,path=${socket},server=on,wait=off`;
  const daemon = new FdsetProcess('storage-daemon', '--allow-uid', '1234', '--chardev', chardev, '--monitor', 'c');
  await daemon.untilFile(socket);
  chmodSync(socket, 0o777);
  assert.equal(greeting(1235, socket), '');
  assert.equal(greeting(1234, socket), '{"QMP": ');
  await daemon.end('SIGTERM');
});

test('--allow-uid without a socket that others can reach is refused', () => {
  for (const where of [[], ['--port', '0']]) {
    const { code, stderr } = fdset('serve', image, '--allow-uid', '1', ...where);
    assert.equal(code, 2);
    assert.match(stderr, /--allow-uid needs --socket PATH/);
  }
});
