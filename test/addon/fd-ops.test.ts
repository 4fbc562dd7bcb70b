import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { devNull } from 'node:os';
import { test } from 'node:test';

import {
  O,
  closeFd,
  dupFd,
  getCloseOnExec,
  getStatusFlags,
  pipe,
  setCloseOnExec,
  setStatusFlags,
  socketPair,
} from '../../src/addon/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';

checkOpenFds();

test('the open flags are those of this machine', () => {
  assert.equal(O.O_ACCMODE, O.O_RDONLY | O.O_WRONLY | O.O_RDWR);
  assert.equal(O.O_SYNC & O.O_DSYNC, O.O_DSYNC);
  if (process.arch === 'x64') assert.equal(O.O_DIRECT, 0x4000);
});

test('a duplicate shares the open file description and is close-on-exec', () => {
  const fd = openSync(devNull, O.O_RDWR);
  const copy = dupFd(fd);
  assert.notEqual(copy, fd);
  assert.equal(getCloseOnExec(copy), true);
  setStatusFlags(copy, O.O_APPEND);
  assert.equal(getStatusFlags(fd) & O.O_APPEND, O.O_APPEND);
  assert.equal(getStatusFlags(fd) & O.O_ACCMODE, O.O_RDWR);
  setStatusFlags(fd, 0);
  assert.equal(getStatusFlags(copy) & O.O_APPEND, 0);
  closeFd(fd);
  closeFd(copy);
});

test('a closed number cannot be used', () => {
  const fd = openSync(devNull, O.O_RDONLY);
  closeSync(fd);
  for (const use of [closeFd, dupFd, getStatusFlags, getCloseOnExec]) {
    assert.throws(() => use(fd), { name: 'SystemError', errnoName: 'EBADF', message: 'Bad file descriptor' });
  }
});

test('close-on-exec can be cleared, and then a child process has the fd', () => {
  const fd = openSync('/dev/zero', O.O_RDONLY);
  const seenByChild = () =>
    spawnSync('sh', ['-c', `test -e /proc/self/fd/${fd} && readlink /proc/self/fd/${fd}`]).stdout.toString();
  setCloseOnExec(fd, false);
  assert.equal(getCloseOnExec(fd), false);
  assert.equal(seenByChild(), '/dev/zero\n');
  setCloseOnExec(fd, true);
  assert.equal(getCloseOnExec(fd), true);
  assert.equal(seenByChild(), '');
  closeFd(fd);
});

for (const [name, make] of [
  ['pipe', pipe],
  ['socketPair', socketPair],
] as const) {
  test(`${name} gives two connected ends, both close-on-exec`, () => {
    const [reader, writer] = make();
    assert.equal(getCloseOnExec(reader), true);
    assert.equal(getCloseOnExec(writer), true);
    writeSync(writer, 'hello');
    const bytes = Buffer.alloc(8);
    assert.equal(readSync(reader, bytes), 5);
    assert.equal(bytes.toString('latin1', 0, 5), 'hello');
    closeFd(reader);
    closeFd(writer);
  });
}

test('what is not an fd is refused before any system call', () => {
  const before = openFds().size;
  for (const wrong of [-1, 1.5, Number.NaN, Infinity, 2 ** 31, '3', undefined, null, {}, 3n]) {
    assert.throws(() => closeFd(wrong as number), TypeError);
    assert.throws(() => dupFd(wrong as number), TypeError);
  }
  assert.equal(openFds().size, before);
});
