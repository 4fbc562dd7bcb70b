// fdset exec, and fdset shell reading a script, against our storage daemon and real QEMU.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { TestQemu } from '../../src/testing/index.ts';
import { startMachine } from '../qemu-process.ts';
import { qemuVersions } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { fdset, fdsetMain, FdsetProcess, type Result } from './fdset-process.ts';

const folder = temporaryFolder();
const image = join(folder, 'my disk.img');
writeFileSync(image, '');
truncateSync(image, 1 << 20);

/** `fdset shell` with these lines as its standard input. */
function script(socket: string, lines: readonly string[], ...options: string[]): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fdsetMain, 'shell', socket, ...options], {
    input: lines.join('\n'),
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { code: status, stdout, stderr };
}

function describeServer(name: string, skip: string | false, start: () => Promise<() => Promise<unknown>>): void {
  const socket = join(folder, `${name.replaceAll(' ', '-')}.sock`);
  describe(`against ${name}`, { skip }, () => {
    let stop: () => Promise<unknown>;
    before(async () => {
      stop = await start();
    });
    after(() => stop());

    test('a result is shown, or is one line of JSON', () => {
      assert.match(fdset('exec', socket, 'query-version').stdout, /"qemu": \{ .*"major": \d+/);
      const json = fdset('exec', socket, 'query-version', '--json').stdout;
      assert.match(json, /^\{.*\}\n$/);
      assert.equal(typeof (JSON.parse(json) as { qemu: { major: number } }).qemu.major, 'number');
    });

    test('@FILE:rw goes as the fd of the command', () => {
      const added = fdset('exec', socket, 'add-fd', 'fdset-id=4', `@${image}:rw`, 'opaque=disk', '--json');
      assert.equal(added.code, 0, added.stderr);
      const { fd } = JSON.parse(added.stdout) as { fd: number };
      assert.equal(fdset('ls', socket).stdout, `SET  FD  OPAQUE\n  4  ${fd}  disk\n`);
      assert.equal(fdset('exec', socket, 'remove-fd', '{"fdset-id": 4}').code, 0);
      assert.equal(fdset('exec', socket, 'getfd', 'fdname=n', `@${image}`).stdout, '{}\n');
    });

    test('@FILE:rw in the place of a name is passed, opened, and taken away where the command fails', () => {
      const args = ['driver=file', 'node-name=n', `filename=@${image}:rw`];
      const opened = fdset('exec', socket, 'blockdev-add', ...args);
      assert.equal(opened.stdout, '{}\n', opened.stderr);
      const set = /\/dev\/fdset\/(\d+)/.exec(opened.stderr)![1]!;
      const before = fdset('ls', socket).stdout;
      const again = fdset('exec', socket, 'blockdev-add', ...args);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /blockdev-add: Duplicate nodes with node-name='n'\n$/);
      assert.equal(fdset('exec', socket, 'blockdev-del', 'node-name=n').code, 0);
      assert.match(before, new RegExp(String.raw`\n +${set} `));
      assert.equal(fdset('rm', socket, set).code, 0);
    });

    const mistakes: [string[], RegExp][] = [
      [['query-versoin'], /this server has no query-versoin: do you mean query-version\?/],
      [['remove-fd', 'fdset-id=x'], /fdset-id takes an integer/],
      [['remove-fd', 'fdsetid=1'], /there is no fdsetid: do you mean fdset-id\?/],
      [['add-fd'], /No file descriptor supplied via SCM_RIGHTS: give the file as @FILE:rw/],
      [['add-fd', `@${folder}/none`], /none: no such file/],
      [['remove-fd', 'fdset-id=77'], /File descriptor named 'fdset-id:77' not found/],
      [['remove-fd', '{"fdset-id"}'], /this is not JSON/],
    ];
    for (const [args, says] of mistakes) {
      test(`${args.join(' ').replace(folder, '')} fails in one line`, () => {
        const { code, stdout, stderr } = fdset('exec', socket, ...args);
        assert.deepEqual([code, stdout, stderr.split('\n').length], [1, '', 2], stderr);
        assert.match(stderr, says);
      });
    }

    test('a script ends at its first error, with the number of its line', () => {
      const lines = ['# a comment', '', 'blockdev-add {"driver": "null-co",', '"node-name": "s"}', 'nonsense', 'quit'];
      const { code, stdout, stderr } = script(socket, lines);
      assert.deepEqual([code, stdout], [1, '{}\n']);
      assert.match(stderr, /line 5: this server has no nonsense: help lists its commands\n$/);
      assert.equal(script(socket, ['blockdev-del node-name=s', 'exit', 'nonsense']).code, 0);
    });

    test('a script with --json answers in lines of JSON', () => {
      const { code, stdout } = script(socket, ['query-fdsets', 'remove-fd fdset-id=77'], '--json');
      const [sets, error] = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.ok(Array.isArray(sets!['return']));
      assert.deepEqual(error!['error'], {
        class: 'GenericError',
        desc: "File descriptor named 'fdset-id:77' not found",
      });
      assert.equal(code, 1);
    });

    test('help comes from the server', () => {
      const { stdout } = script(socket, ['help blockdev-add driver=raw file.driver=file']);
      assert.match(stdout, /^blockdev-add\n/);
      assert.match(stdout, /\n {2}file\.filename +str {2}\(required\)\n/);
      assert.match(script(socket, ['help']).stdout, /\bquery-fdsets\b/);
      assert.match(script(socket, ['help blockdev-ad']).stderr, /do you mean blockdev-add\?/);
    });
  });
}

describeServer('our storage daemon', false, async () => {
  const socket = join(folder, 'our-storage-daemon.sock');
  const chardev = `socket,id=c,path=${socket},server=on,wait=off`;
  const daemon = new FdsetProcess('storage-daemon', '--chardev', chardev, '--monitor', 'c');
  await daemon.untilFile(socket);
  return () => daemon.end('SIGTERM');
});

for (const version of qemuVersions) {
  describeServer(`QEMU ${version.name}`, version.missing, async () => {
    const socket = join(folder, `QEMU-${version.name}.sock`);
    const qemu = await startMachine(version, socket);
    return () => qemu.end();
  });

  test(`a disk is plugged into QEMU ${version.name} and out again by a script`, { skip: version.missing }, async () => {
    const socket = join(folder, `plug-${version.name}.sock`);
    const qemu = await startMachine(version, socket);
    try {
      const { code, stdout, stderr } = script(socket, [
        `blockdev-add driver=raw node-name=n file.driver=file file.filename=@"${image}":rw`,
        'device_add driver=scsi-hd drive=n id=d bus=scsi0.0 share-rw=on',
        'device_del id=d',
        'wait DEVICE_DELETED device=d',
        'blockdev-del node-name=n',
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /DEVICE_DELETED \{ .*"device": "d"/);
    } finally {
      await qemu.end();
    }
  });
}

/** A verb against a server in this process. */
async function running(...args: string[]): Promise<Result> {
  const verb = new FdsetProcess(...args);
  await once(verb.child, 'close');
  return { code: verb.child.exitCode, stdout: verb.stdout, stderr: verb.stderr };
}

describe('against a server that is difficult', () => {
  const qemu = new TestQemu();
  after(() => qemu.close());

  test('over TCP an fd is refused with the way out, and other commands go', async () => {
    const proxy = createServer((socket) => void socket.pipe(connect(qemu.path)).pipe(socket));
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const target = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { code, stderr } = await running('exec', target, 'add-fd', `@${image}`);
    assert.equal(code, 1);
    assert.match(stderr, /TCP carries no file descriptors: use a Unix socket/);
    assert.equal((await running('exec', target, 'query-version')).code, 0);
    proxy.close();
  });

  test('a reply that does not come is given up after --reply-timeout', async () => {
    qemu.fault('query-version', { kind: 'instead', text: '\r\n' });
    const { code, stderr } = await running('exec', qemu.path, 'query-version', '--reply-timeout', '0.2');
    assert.equal(code, 1);
    assert.match(stderr, /query-version: no reply within 200 ms/);
  });

  test('a file whose passing is given up is taken out again before it leaves', async () => {
    qemu.fault('add-fd', { kind: 'delay', until: 500 });
    const { code, stderr } = await running(
      'exec',
      qemu.path,
      'closefd',
      `fdname=@${image}:r`,
      '--reply-timeout',
      '0.2',
    );
    assert.equal(code, 1);
    assert.match(stderr, /add-fd: no reply within 200 ms/);
    await qemu.waitFor('remove-fd');
    assert.deepEqual(qemu.fdsets.query(), []);
  });

  test('a greeting that does not come is given up after --timeout', async () => {
    qemu.receive('silent');
    const { code, stderr } = await running('shell', qemu.path, '--timeout', '0.2');
    assert.equal(code, 1);
    assert.match(stderr, /no greeting within 200 ms/);
    qemu.receive('serve');
  });

  test('a time that is none is a usage error', () => {
    assert.equal(fdset('exec', 'q.sock', 'query-status', '--timeout', 'soon').code, 2);
    assert.equal(fdset('exec', 'q.sock', 'query-status', '--reply-timeout', '0').code, 2);
  });
});
