// fdset ls, add and rm against servers as users have them: ours, and real QEMU where it is installed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { missing } from '../programs.ts';
import { emulator, type QemuProcess, startQemu } from '../qemu-process.ts';
import { fdset, FdsetProcess } from './fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const folder = temporaryFolder();
const image = join(folder, 'disk.img');
writeFileSync(image, Buffer.alloc(65_536));
execFileSync('mkfifo', [join(folder, 'fifo')]);

/** @param removesAtOnce QEMU 7.2 only marks what is removed while its machine is stopped, and goes on listing it. */
function describeServer(
  name: string,
  skip: string | false,
  socket: string,
  removesAtOnce: boolean,
  start: () => Promise<() => Promise<void>>,
): void {
  describe(name, { skip }, () => {
    let stop: () => Promise<void>;
    before(async () => {
      stop = await start();
    });
    after(() => stop());

    test('a file that is added is listed, and gone when it is removed', () => {
      assert.equal(fdset('ls', socket).stdout, 'no fd sets\n');
      const added = fdset('add', socket, image, '--mode', 'rw', '--set', '7', '--opaque', 'disk');
      assert.equal(added.code, 0, added.stderr);
      const fd = /is fd (\d+) of set 7: \/dev\/fdset\/7/.exec(added.stdout)![1]!;
      const listed = fdset('ls', socket);
      assert.match(listed.stdout, new RegExp(`^SET +FD +OPAQUE\\n +7 +${fd} +disk\\n$`));
      assert.deepEqual(JSON.parse(fdset('ls', socket, '--json').stdout), [
        { 'fdset-id': 7, fd: Number(fd), opaque: 'disk' },
      ]);
      assert.equal(fdset('rm', socket, `7:${fd}`).code, 0);
      if (removesAtOnce) assert.equal(fdset('ls', socket).stdout, 'no fd sets\n');
    });

    test('without --set there is a new set, and a whole set is removed at once', () => {
      for (const mode of ['r', 'w']) assert.equal(fdset('add', socket, image, '--mode', mode, '--set', '3').code, 0);
      assert.equal(fdset('add', socket, image, '--mode', 'r').code, 0);
      const sets = (JSON.parse(fdset('ls', socket, '--json').stdout) as { 'fdset-id': number }[]).map(
        (member) => member['fdset-id'],
      );
      assert.deepEqual(
        sets.filter((set) => set !== 7),
        [3, 3, 0],
      );
      assert.equal(fdset('rm', socket, '3').code, 0);
      assert.equal(fdset('rm', socket, '0').code, 0);
    });

    test('what does not exist is named', () => {
      assert.match(fdset('rm', socket, '9').stderr, /File descriptor named 'fdset-id:9' not found/);
      assert.match(fdset('rm', socket, '9:1').stderr, /File descriptor named 'fdset-id:9, fd:1' not found/);
      assert.equal(fdset('rm', socket, 'x').code, 2);
    });

    test('a FIFO without a peer does not make it wait, and no file is created', () => {
      assert.match(fdset('add', socket, join(folder, 'fifo'), '--mode', 'w').stderr, /nobody reads from this FIFO/);
      const added = fdset('add', socket, join(folder, 'fifo'), '--mode', 'r', '--set', '5');
      assert.equal(added.code, 0, added.stderr);
      assert.equal(fdset('rm', socket, '5').code, 0);
      const none = fdset('add', socket, join(folder, 'none'), '--mode', 'rw');
      assert.match(none.stderr, /none: no such file/);
      assert.equal(none.code, 1);
      assert.equal(existsSync(join(folder, 'none')), false);
    });

    test('a monitor that another client holds is said after five seconds, with who holds it', async () => {
      const holder = connect(socket);
      await once(holder, 'data');
      const { code, stderr } = fdset('ls', socket);
      assert.equal(code, 1);
      assert.match(stderr, /no greeting within 5000 ms/);
      assert.match(stderr, new RegExp(`\\b${process.pid}\\b`));
      holder.destroy();
      await once(holder, 'close');
    });
  });
}

const ours = join(folder, 'ours.sock');
describeServer('against our storage daemon', false, ours, true, async () => {
  const chardev = `socket,id=c,path=${ours},server=on,wait=off`;
  const daemon = new FdsetProcess('storage-daemon', '--chardev', chardev, '--monitor', 'c');
  await daemon.untilFile(ours);
  return async () => {
    const { code, stderr } = await daemon.end('SIGTERM');
    assert.deepEqual([code, stderr], [0, '']);
  };
});

const qemu = join(folder, 'qemu.sock');
describeServer('against real QEMU', missing(emulator), qemu, false, async () => {
  const running: QemuProcess = await startQemu(qemu);
  return () => running.end();
});

const unreachable: [string, string[], RegExp][] = [
  ['a file that is no socket', [fileURLToPath(import.meta.url)], /: this is not a socket/],
  ['a socket that is not there', [join(folder, 'none.sock')], /none\.sock: .*nothing listens there/],
  ['an empty target', [''], /the target is empty/],
];
for (const [what, args, says] of unreachable) {
  test(`${what} is refused in one line`, () => {
    const { code, stderr } = fdset('ls', ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
    assert.equal(stderr.split('\n').length, 2, stderr);
  });
}

test('an unknown verb and a missing argument are usage errors', () => {
  assert.equal(fdset('lls').code, 2);
  assert.equal(fdset('add', ours, image).code, 2);
  assert.equal(fdset('--version').code, 0);
  assert.equal(fdset('--help').code, 0);
});
