// fdset ls --long: the table of fds against servers as users have them, and how it is put together for QEMU.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { QmpClient } from '../../src/client/index.ts';
import { joinLedger, type LedgerSet } from '../../src/cli/fd-ledger.ts';
import { formatLedger } from '../../src/cli/ledger-table.ts';
import { parseFdinfo, type ProcessFile, processFiles } from '../../src/cli/process-files.ts';
import { emulator, QemuProcess } from '../qemu-process.ts';
import { type QemuVersion, qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { fdset, FdsetProcess } from './fdset-process.ts';

const folder = realpathSync(temporaryFolder());
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));

/** Adds the image for reading and for writing, and a node on each. */
async function useImage(socket: string): Promise<void> {
  const client = await QmpClient.connect(socket);
  for (const flags of ['r', 'r+']) {
    const fd = openSync(image, flags);
    await client.execute('add-fd', { 'fdset-id': 7, opaque: `opened ${flags}` }, { fds: [fd] });
    closeSync(fd);
  }
  const node = { driver: 'file', filename: '/dev/fdset/7' };
  await client.execute('blockdev-add', { ...node, 'node-name': 'writer' });
  await client.execute('blockdev-add', { ...node, 'node-name': 'reader', 'read-only': true });
  await client.close();
}

/** What a file's server tells: what each fd is for, and who uses it. */
function listed(socket: string): unknown[] {
  const { code, stdout, stderr } = fdset('ls', socket, '--long', '--json');
  assert.equal(code, 0, stderr);
  const [set, ...others] = JSON.parse(stdout) as LedgerSet[];
  assert.deepEqual(others, []);
  const users = set!.dups.map(({ access, holder, path }) => [access, holder, path]);
  return [
    ...set!.fds.map(({ access, opaque, path }) => [access, opaque, path]),
    ...users.toSorted((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1)),
  ];
}

const expected = [
  ['read-only', 'opened r', image],
  ['read-write', 'opened r+', image],
  ['read-only', "block node 'reader'", image],
  ['read-write', "block node 'writer'", image],
];

describe('against our storage daemon', () => {
  const socket = join(folder, 'ours.sock');
  let daemon: FdsetProcess;
  before(async () => {
    const chardev = `socket,id=c,path=${socket},server=on,wait=off`;
    daemon = new FdsetProcess('storage-daemon', '--chardev', chardev, '--monitor', 'c');
    await daemon.untilFile(socket);
    await useImage(socket);
  });
  after(() => daemon.end('SIGTERM'));

  test('every fd is listed with its file, who added it, and who uses it', () => {
    assert.deepEqual(listed(socket), expected);
    const { stdout } = fdset('ls', socket, '--long');
    const [header, ...rows] = stdout.trimEnd().split('\n');
    assert.match(header!, /^SET +FD +ACCESS +SIZE +OPAQUE +ADDED BY +USED BY +FILE$/);
    assert.match(rows[0]!, new RegExp(`^ +7 +\\d+ +read-only +64 KiB +opened r +\\S+ \\(${process.pid}\\) +${image}$`));
    assert.equal(rows.length, 4);
  });
});

/** Starts a QEMU whose machine stands still, and gives it the image. */
async function startQemu(version: QemuVersion, socket: string): Promise<QemuProcess> {
  const [program, ...args] = version.command(emulator);
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', '-S'];
  const qmp = ['-qmp', `unix:${socket},server=on,wait=off`];
  const running = new QemuProcess(spawn(program!, [...args, ...machine, ...qmp], { stdio: 'ignore' }));
  for (let tries = 0; !existsSync(socket) && tries < 500; tries++) await sleep(20);
  await sleep(400); // a client that comes at once gets two greetings
  await useImage(socket);
  return running;
}

for (const version of qemuVersions) {
  describe(`against QEMU ${version.name}`, { skip: version.missing }, () => {
    const socket = join(folder, `qemu-${version.name}.sock`);
    let running: QemuProcess;
    before(async () => {
      running = await startQemu(version, socket);
    });
    after(() => running.end());

    test('the same is put together from what QEMU tells and what its process has open', () => {
      assert.deepEqual(listed(socket), expected);
    });
  });
}

const file = (fd: number, access: ProcessFile['access'], path = '/a'): [number, ProcessFile] => [
  fd,
  { fd, access, path, file: path },
];
const fdsets = [{ 'fdset-id': 1, fds: [{ fd: 11, opaque: 'o' }] }];
const node = (name: string, drv = 'file') => ({ 'node-name': name, drv, file: '/dev/fdset/1', ro: false });

test('a format above a file is no holder, and an export belongs to its node', () => {
  const files = new Map([file(11, 'read-write'), file(12, 'read-write'), file(13, 'read-write', '/b')]);
  const exports = [{ id: 'e', 'node-name': 'f' }];
  assert.deepEqual(joinLedger(fdsets, [node('f'), node('q', 'raw')], exports, files), [
    {
      'fdset-id': 1,
      fds: [{ fd: 11, opaque: 'o', access: 'read-write', path: '/a' }],
      dups: [
        {
          fd: 12,
          access: 'read-write',
          path: '/a',
          holder: "block node 'f'",
          filename: '/dev/fdset/1',
          exports: ['e'],
        },
      ],
    },
  ]);
});

test('which fd is whose is not guessed where there are two that it could be', () => {
  const files = new Map([file(11, 'read-write'), file(12, 'read-write'), file(13, 'read-write')]);
  const [set] = joinLedger(fdsets, [node('f'), node('g')], [], files);
  assert.deepEqual(
    set!.dups.map(({ fd, holder }) => [fd, holder]),
    [
      [undefined, "block node 'f'"],
      [undefined, "block node 'g'"],
    ],
  );
});

test('a process that does not have the fds of the sets is not the server', () => {
  const [set] = joinLedger(fdsets, [node('f')], [], new Map([file(12, 'read-write')]));
  assert.deepEqual(set!.fds, [{ fd: 11, opaque: 'o' }]);
  assert.equal(set!.dups[0]!.fd, undefined);
});

test('the flags and the inode of an fd are read from /proc, and a process that is gone has no files', () => {
  const fd = openSync(image, 'r+');
  const own = processFiles(process.pid).get(fd);
  closeSync(fd);
  assert.deepEqual([own?.access, own?.path], ['read-write', image]);
  assert.match(own?.file ?? '', /^\d+:\d+$/);
  const old = parseFdinfo(3, '/f', 'pos:\t0\nflags:\t0100001\nmnt_id:\t29\n');
  assert.deepEqual(old, { fd: 3, access: 'write-only', path: '/f', file: '29:/f' });
  assert.equal(processFiles(2 ** 30).size, 0);
});

test('a table shows control characters of a peer as question marks, and what is not known as nothing', () => {
  const table = formatLedger([
    {
      'fdset-id': 1,
      fds: [{ fd: 11, opaque: 'a\x1b[2J', 'added-by': { 'command-line': true } }],
      dups: [{ holder: "block node 'n'", filename: '/dev/fdset/1', exports: ['e', 'f'] }],
    },
  ]);
  const [, member, dup] = table.split('\n');
  assert.match(member!, /^ +1 +11 +a\?\[2J +--add-fd$/);
  assert.match(dup!, /^ +1 +\? +block node 'n', export e, f$/);
  assert.equal(formatLedger([]), 'no fd sets');
});
