// Bad input gets QEMU's error, and nothing is lost: neither the daemon, nor another client's work, nor an fd.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { pipe, socketPair } from '../../src/addon/index.ts';
import { QmpClient } from '../../src/client/index.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { withDaemon, type DaemonUnderTest } from './daemon-under-test.ts';

checkOpenFds();

const MIB = 1 << 20;
const folder = temporaryFolder();
let files = 0;

/** A file of `size` zeros. */
function imageFile(size = MIB): string {
  const path = join(folder, `image${files++}`);
  writeFileSync(path, Buffer.alloc(size));
  return path;
}

/** Bytes that look random and are the same every time. */
function* noise(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 24;
  }
}

function randomBytes(seed: number, length: number): Buffer {
  const source = noise(seed);
  return Buffer.from(Array.from({ length }, () => source.next().value));
}

async function alive(daemon: DaemonUnderTest): Promise<void> {
  const client = await QmpClient.connect(daemon.qmp);
  assert.ok(await client.execute('query-version'));
  await client.close();
}

describe('on the monitor', () => {
  test('random bytes, with fds among them, get errors or nothing', () =>
    withDaemon(folder, async (daemon) => {
      const fd = openSync('/dev/null', 'r');
      for (let seed = 0; seed < 60; seed++) {
        const client = await QmpConnection.open(daemon.qmp);
        await client.read(1);
        client.send(randomBytes(seed, 1 + 61 * seed), seed % 2 === 0 ? [fd] : []);
        // A byte that no token can hold ends whatever has begun.
        client.send('\xff\n{"execute": "qmp_capabilities", "id": "last"}');
        const last = (): boolean => client.messages.some(({ text }) => text === '{"return": {}, "id": "last"}\r\n');
        await client.waitFor(last, 5000);
        assert.equal(last(), true, `seed ${seed}`);
        for (const { value } of client.messages.slice(0, -1)) assert.ok((value as { error?: unknown }).error);
        client.close();
      }
      closeSync(fd);
      await alive(daemon);
    }));

  test('64 MiB of [ get one error, and cost no memory that stays', () =>
    withDaemon(folder, async (daemon) => {
      const client = await QmpConnection.open(daemon.qmp);
      await client.read(1);
      const brackets = Buffer.alloc(MIB, '[');
      const before = daemon.residentMemory();
      const seen = new Set<string>();
      const sees = (text: string): boolean => {
        for (const message of client.take()) seen.add(message.text);
        return seen.has(text);
      };
      for (let sent = 0; sent < 64; sent++) {
        client.send(brackets);
        await client.waitFor(() => sees('') || client.unsentBytes === 0, 20);
      }
      // Depth left over from the last error is dropped by a byte that no token can hold.
      client.send('\xff\n{"execute": "qmp_capabilities"}');
      await client.waitFor(() => sees('{"return": {}}\r\n'), 60_000);
      const error = (desc: string): string => `{"error": {"class": "GenericError", "desc": "${desc}"}}\r\n`;
      assert.deepEqual(
        seen,
        new Set([
          error('JSON nesting depth limit exceeded'),
          error("JSON parse error, stray '\\uFFFD'"),
          '{"return": {}}\r\n',
        ]),
      );
      client.close();
      await alive(daemon);
      const growth = daemon.residentMemory() - before;
      assert.ok(growth < 64 * MIB, `grown by ${growth >> 20} MiB`);
    }));

  test('half a message and then nobody takes its fds along', () =>
    withDaemon(folder, async (daemon) => {
      const fd = openSync('/dev/null', 'r');
      for (const half of ['{', '{"execute": "add-fd', '{"execute": "add-fd"', '"\\ud8', ' ', '[[1, 2,', '-']) {
        const client = await QmpConnection.open(daemon.qmp);
        await client.read(1);
        client.send('{"execute": "qmp_capabilities"}');
        await client.read(1);
        client.send(half, [fd]);
        client.close();
      }
      closeSync(fd);
      const client = await daemon.client();
      assert.deepEqual(await client.execute('query-fdsets'), []);
    }));
});

/** Fds of files that nobody can serve, and some that look like it. The opener's own; all of `fds` are to be closed. */
interface Oddity {
  readonly what: string;
  open(): { readonly fd: number; readonly fds: readonly number[] };
  /** What blockdev-add with the driver `file` says; `undefined` means that it takes it. */
  readonly says: RegExp | undefined;
  readonly readOnly: boolean;
}

const single = (fd: number): { fd: number; fds: number[] } => ({ fd, fds: [fd] });
const notRegular = /^blockdev-add: 'file' driver requires '\/dev\/fdset\/7' to be a regular file$/;

const oddities: Oddity[] = [
  {
    what: 'a FIFO',
    open: () => {
      const path = join(folder, `fifo${files++}`);
      spawnSync('mkfifo', [path]);
      return single(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    },
    says: notRegular,
    readOnly: false,
  },
  { what: 'the end of a pipe', open: () => ends(pipe()), says: notRegular, readOnly: true },
  { what: 'a socket', open: () => ends(socketPair()), says: notRegular, readOnly: false },
  { what: 'a directory', open: () => single(openSync('/', 'r')), says: notRegular, readOnly: true },
  {
    what: 'an O_PATH fd',
    open: () => single(openSync(imageFile(), 0o10000000)),
    says: /^blockdev-add: Failed to dup\(\) given file descriptor fd=\d+$/,
    readOnly: true,
  },
  { what: '/dev/null', open: () => single(openSync('/dev/null', 'r+')), says: notRegular, readOnly: false },
  {
    what: '/proc/self/status',
    open: () => single(openSync('/proc/self/status', 'r')),
    says: /^blockdev-add: Could not refresh total sector count: Invalid argument$/,
    readOnly: true,
  },
  {
    what: 'a file opened for writing only',
    open: () => single(openSync(imageFile(), 'a')),
    says: /^blockdev-add: Failed to find file descriptor with matching flags=0x2$/,
    readOnly: false,
  },
  {
    what: 'a deleted file',
    open: () => {
      const path = imageFile();
      const fd = openSync(path, 'r+');
      unlinkSync(path);
      return single(fd);
    },
    says: undefined,
    readOnly: false,
  },
  {
    what: 'a deleted file in memory',
    open: () => {
      const path = `/dev/shm/fdset-test-${process.pid}`;
      writeFileSync(path, Buffer.alloc(4096));
      const fd = openSync(path, 'r+');
      unlinkSync(path);
      return single(fd);
    },
    says: undefined,
    readOnly: false,
  },
];

function ends(pair: [number, number]): { fd: number; fds: number[] } {
  return { fd: pair[0], fds: pair };
}

/** Commands that have no use for an fd, each with whether it succeeds. */
const uninterested: [string, Record<string, unknown> | undefined, boolean][] = [
  ['query-version', undefined, true],
  ['query-fdsets', undefined, true],
  ['query-named-block-nodes', undefined, true],
  ['query-block-exports', undefined, true],
  ['no-such-command', undefined, false],
  ['remove-fd', { 'fdset-id': 99 }, false],
  ['add-fd', { 'fdset-id': 'one' }, false],
  ['getfd', { fdname: '1' }, false],
  ['closefd', { fdname: 'nobody' }, false],
  ['blockdev-add', { driver: 'file', 'node-name': 'n', filename: '/dev/fdset/99' }, false],
  ['blockdev-del', { 'node-name': 'nobody' }, false],
  ['block-export-add', { type: 'nbd', id: 'e', 'node-name': 'nobody' }, false],
  ['block-export-del', { id: 'nobody' }, false],
  ['nbd-server-stop', undefined, false],
];

describe('an fd nobody asked for', () => {
  for (const oddity of oddities) {
    const { what, says, readOnly } = oddity;
    test(`${what}: with commands that take none, in a set, under a name, as a listener`, () =>
      withDaemon(folder, async (daemon) => {
        const { fd, fds } = oddity.open();
        const client = await daemon.client();
        for (const [command, args, succeeds] of uninterested) {
          const outcome = await client.execute(command, args as never, { fds: [fd, fd] }).then(
            () => true,
            () => false,
          );
          assert.equal(outcome, succeeds, command);
        }
        await client.execute('add-fd', { 'fdset-id': 7 }, { fds: [fd] });
        const node = { driver: 'file', 'node-name': 'n', filename: '/dev/fdset/7', 'read-only': readOnly };
        const added = client.execute('blockdev-add', node);
        if (says === undefined) {
          await added;
          await client.execute('query-named-block-nodes');
          await client.execute('blockdev-del', { 'node-name': 'n' });
        } else {
          await assert.rejects(added, { message: says });
        }
        const device = client.execute('blockdev-add', { ...node, driver: 'host_device' });
        await device.then(
          () => client.execute('blockdev-del', { 'node-name': 'n' }),
          () => undefined,
        );
        await client.execute('remove-fd', { 'fdset-id': 7 });
        await client.execute('getfd', { fdname: 'odd' }, { fds: [fd] });
        const start = client.execute('nbd-server-start', { addr: { type: 'fd', data: { str: 'odd' } } });
        await assert.rejects(start, /: (File descriptor 'odd' is not a socket|Failed to listen on fd socket: .*)$/);
        await assert.rejects(client.execute('closefd', { fdname: 'odd' }));
        for (const each of fds) closeSync(each);
      }));
  }
});

describe('an image', () => {
  test('that is unlinked is served on; one that is cut off reads as zeros or fails, and grows again', () =>
    withDaemon(folder, async (daemon) => {
      const path = imageFile();
      const client = await daemon.client();
      await daemon.startNbd(client);
      await daemon.exportFile(client, 'disk', path);
      const nbd = await daemon.nbdClient('disk');
      await nbd.write(0, Buffer.alloc(4096, 7));
      truncateSync(path, 0);
      for (const offset of [0, 4096, MIB - 512]) {
        const bytes = await nbd.read(offset, 512).catch((error: unknown) => {
          assert.match(String(error), /EIO/);
          return Buffer.alloc(512);
        });
        assert.deepEqual(bytes, Buffer.alloc(512));
      }
      await nbd.blockStatus(0, MIB);
      await nbd.write(8192, Buffer.alloc(512, 9));
      assert.deepEqual(await nbd.read(8192, 512), Buffer.alloc(512, 9));
      unlinkSync(path);
      await nbd.write(0, Buffer.alloc(512, 3));
      await nbd.flush();
      assert.deepEqual(await nbd.read(0, 512), Buffer.alloc(512, 3));
      await nbd.trim(0, 4096);
      await nbd.disconnect();
      await client.execute('query-named-block-nodes');
      await client.execute('nbd-server-stop');
      await client.execute('blockdev-del', { 'node-name': 'disk' });
    }));

  test(
    'on a full disk: ENOSPC reaches the client, and writes work again when there is space',
    { skip: process.getuid?.() === 0 ? false : 'needs root, to mount a small tmpfs' },
    () =>
      withDaemon(folder, async (daemon) => {
        const mount = join(folder, 'full');
        mkdirSync(mount);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', mount]);
        try {
          const path = join(mount, 'disk');
          writeFileSync(path, '');
          truncateSync(path, 8 * MIB);
          writeFileSync(join(mount, 'filler'), Buffer.alloc(MIB));
          const client = await daemon.client();
          await daemon.startNbd(client);
          const fd = openSync(path, 'r+');
          await client.execute('add-fd', { 'fdset-id': 1 }, { fds: [fd] });
          closeSync(fd);
          await daemon.exportFile(client, 'disk', '/dev/fdset/1');
          const nbd = await daemon.nbdClient('disk');
          const data = Buffer.alloc(256 * 1024, 5);
          const write = async (): Promise<number> => {
            for (let offset = 0; offset < 8 * MIB; offset += data.length) {
              try {
                await nbd.write(offset, data);
              } catch (error) {
                assert.match(String(error), /ENOSPC/);
                return offset;
              }
            }
            return 8 * MIB;
          };
          const first = await write();
          assert.ok(first > 0 && first < 2 * MIB, `full at ${first}`);
          await assert.rejects(nbd.write(4 * MIB, data, { fua: true }), /ENOSPC/);
          await nbd.flush();
          unlinkSync(join(mount, 'filler'));
          assert.ok((await write()) > first);
          assert.deepEqual(await nbd.read(first, data.length), data);
          await nbd.disconnect();
          await client.execute('nbd-server-stop');
          await client.execute('blockdev-del', { 'node-name': 'disk' });
          await client.execute('remove-fd', { 'fdset-id': 1 });
        } finally {
          execFileSync('umount', [mount]);
        }
      }),
  );
});

describe('an address', () => {
  const unix = (path: string): { addr: object } => ({ addr: { type: 'unix', data: { path } } });
  const inet = (port: number | string): { addr: object } => ({
    addr: { type: 'inet', data: { host: '127.0.0.1', port: String(port) } },
  });

  test('that is a file is left alone; a stale socket is replaced, a live one too, as QEMU does', () =>
    withDaemon(folder, async (daemon) => {
      const client = await daemon.client();
      const path = join(folder, 'file.sock');
      writeFileSync(path, 'precious');
      const taken = new RegExp(`Failed to bind socket to ${path}: Address already in use$`);
      await assert.rejects(client.execute('nbd-server-start', unix(path) as never), taken);
      assert.equal(readFileSync(path, 'utf8'), 'precious');
      rmSync(path);
      const other = createServer().listen(path);
      await once(other, 'listening');
      await client.execute('nbd-server-start', unix(path) as never);
      await client.execute('nbd-server-stop');
      assert.equal(existsSync(path), false);
      other.close();
      const listen =
        "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
      spawnSync(process.execPath, ['-e', listen, path]);
      assert.equal(existsSync(path), true, 'a stale socket');
      await client.execute('nbd-server-start', unix(path) as never);
      await client.execute('nbd-server-stop');
    }));

  test('that is too long, has no folder, or is in use, is refused, and the next one is taken', () =>
    withDaemon(folder, async (daemon) => {
      const client = await daemon.client();
      const long = `/tmp/${'x'.repeat(120)}`;
      const start = (args: object): Promise<unknown> => client.execute('nbd-server-start', args as never);
      await assert.rejects(start(unix(long)), { message: `nbd-server-start: UNIX socket path '${long}' is too long` });
      await assert.rejects(start(unix('/nonexistent/x')), /Failed to bind socket to \/nonexistent\/x: No such file/);
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as { port: number };
      await assert.rejects(start(inet(port)), /Failed to find an available port: Address already in use$/);
      await assert.rejects(start(inet('1x')), /address resolution failed for 127\.0\.0\.1:1x: Servname not supported/);
      other.close();
      await start(inet(0));
      await assert.rejects(start(inet(0)), { message: 'nbd-server-start: NBD server already running' });
      await client.execute('nbd-server-stop');
    }));
});
