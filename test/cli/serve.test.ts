// fdset serve as a user runs it: what it prints, what NBD clients get, what it refuses, what it leaves behind.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { NbdClient } from '../../src/nbd/index.ts';
import { fdset, FdsetProcess } from './fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();
const content = Buffer.alloc(1 << 20, 'fdset ');

function makeImage(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

interface Served {
  pid: number;
  monitor: string;
  exports: { name: string; size: number; 'read-only': boolean; uri: string }[];
  sandbox: { mode: string; 'landlock-abi': number; seccomp: boolean };
}

async function serve(...args: string[]): Promise<{ process: FdsetProcess; served: Served }> {
  const running = new FdsetProcess('serve', '--json', '--sandbox', 'try', ...args);
  await running.until(/\n/);
  return { process: running, served: JSON.parse(running.stdout) as Served };
}

function socketOf(uri: string): string {
  return new URL(uri).searchParams.get('socket')!;
}

test('an image is read and written through the export, and Ctrl-C leaves nothing behind', async () => {
  const image = makeImage('disk.img');
  const { process: running, served } = await serve(image);
  const { uri, size } = served.exports[0]!;
  assert.equal(size, content.length);
  const client = await NbdClient.connect({ path: socketOf(uri) });
  assert.deepEqual(await client.read(0, 4096), content.subarray(0, 4096));
  await client.write(4096, Buffer.alloc(512, 'x'), { fua: true });
  await client.disconnect();
  assert.equal(statSync(dirname(served.monitor)).mode & 0o777, 0o700);
  assert.equal(statSync(served.monitor).mode & 0o777, 0o600);
  const { code, stderr } = await running.end();
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(existsSync(dirname(served.monitor)), false);
  assert.deepEqual(readFileSync(image).subarray(4096, 4608), Buffer.alloc(512, 'x'));
});

test('read-only means that no client may write', async () => {
  const image = makeImage('ro.img');
  const { process: running, served } = await serve(image, '--read-only');
  const client = await NbdClient.connect({ path: socketOf(served.exports[0]!.uri) });
  await assert.rejects(client.write(0, Buffer.alloc(512)), { code: 'ERR_FDSET_NBD_REPLY' });
  await client.disconnect();
  await running.end();
  assert.deepEqual(readFileSync(image), content);
});

test('several images are exported under their names, on a port if asked', async () => {
  const { process: running, served } = await serve(makeImage('a.img'), makeImage('b.img'), '--port', '0');
  assert.deepEqual(
    served.exports.map(({ name }) => name),
    ['a.img', 'b.img'],
  );
  const port = Number(/:(\d+)\//.exec(served.exports[0]!.uri)![1]);
  assert.notEqual(port, 0);
  const client = await NbdClient.connect({ host: '127.0.0.1', port }, { exportName: 'b.img' });
  assert.equal(client.size, content.length);
  await client.disconnect();
  await running.end();
});

test('an image that is not raw is refused with the way out, unless its bytes are wanted', async () => {
  const path = join(folder, 'disk.qcow2');
  writeFileSync(path, Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.alloc(1 << 16)]));
  const { code, stderr } = fdset('serve', path);
  assert.equal(code, 1);
  assert.match(stderr, /disk\.qcow2: this is a qcow2 image.*--format raw/);
  const { process: running, served } = await serve(path, '--format', 'raw', '--read-only');
  const client = await NbdClient.connect({ path: socketOf(served.exports[0]!.uri) });
  assert.equal((await client.read(0, 512)).toString('latin1', 0, 4), 'QFI\xfb');
  await client.disconnect();
  await running.end();
});

test('whatever the name of the socket, the URI leads to it', async () => {
  const path = join(folder, 'a&b #+%;?.sock');
  const { process: running, served } = await serve(makeImage('named.img'), '--socket', path);
  assert.equal(socketOf(served.exports[0]!.uri), path);
  await running.end();
});

const refused: [string, () => string[], number, RegExp][] = [
  ['a file that does not exist', () => [join(folder, 'none')], 1, /none: no such file/],
  ['a folder', () => [folder], 1, /not a disk image/],
  ['a port that is none', () => [makeImage('x.img'), '--port', '70000'], 2, /0 .*to 65535/],
  ['two images of one name', () => [makeImage('x.img'), makeImage('x.img')], 2, /two exports would be named 'x\.img'/],
  ['fewer names than images', () => [makeImage('x.img'), makeImage('y.img'), '--name', 'a'], 2, /1 names for 2/],
  ['a file that cannot be read', () => ['/proc/self/mem'], 1, /^fdset: \/proc\/self\/mem: cannot be read: [^\n]*\n$/],
  ['an address without a port', () => [makeImage('x.img'), '--bind', '::'], 2, /--bind needs --port/],
  ['a socket and a port', () => [makeImage('x.img'), '--port', '1', '--socket', 's'], 2, /cannot be used with/],
  [
    'a socket path that is too long',
    () => [makeImage('x.img'), '--socket', join(folder, 'x'.repeat(120))],
    1,
    /is too long/,
  ],
  [
    'a socket in a folder that is not there',
    () => [makeImage('x.img'), '--socket', join(folder, 'no/s')],
    1,
    /no\/s: No such file/,
  ],
  ['no image', () => [], 2, /missing required argument/],
];
for (const [what, args, exitCode, says] of refused) {
  test(`${what} is refused before anything is started`, () => {
    const { code, stderr, stdout } = fdset('serve', ...args());
    assert.equal(code, exitCode, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, '');
  });
}

test('a socket path with a file in the way is refused and the file stays', () => {
  const path = join(folder, 'in-the-way');
  writeFileSync(path, 'mine');
  const { code, stderr } = fdset('serve', makeImage('x.img'), '--socket', path);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /in-the-way/);
  assert.equal(readFileSync(path, 'utf8'), 'mine');
});

test('a port in use is said', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { code, stderr } = fdset('serve', makeImage('x.img'), '--port', `${port}`);
  assert.equal(code, 1);
  assert.match(stderr, /Address already in use/);
  await new Promise((resolve) => server.close(resolve));
});

test('a daemon that is killed ends serve with an error and without sockets', async () => {
  const { process: running, served } = await serve(makeImage('killed.img'));
  process.kill(served.pid, 'SIGKILL');
  await running.until(/\n/);
  await new Promise((resolve) => running.child.once('close', resolve));
  assert.equal(running.child.exitCode, 1);
  assert.match(running.stderr, /the daemon was killed by SIGKILL/);
  assert.equal(existsSync(dirname(served.monitor)), false);
});

test('a serve that is killed takes its daemon with it', async () => {
  const { process: running, served } = await serve(makeImage('orphan.img'));
  await running.end('SIGKILL');
  for (let tries = 0; existsSync(`/proc/${served.pid}`) && tries < 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  rmSync(dirname(served.monitor), { recursive: true }); // nobody else does
  assert.equal(existsSync(`/proc/${served.pid}`), false);
});
