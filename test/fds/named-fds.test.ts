import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';

import { NamedFds, OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const openNull = () => new OwnedFd(openSync('/dev/null', 'r'));
const isOpen = (fd: number) => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('a name keeps its fd until it is closed', () => {
  const named = new NamedFds();
  const fd = openNull();
  const number = fd.fd;
  named.set('a', fd);
  assert.equal(isOpen(number), true);
  assert.throws(() => named.close('A'), { message: "File descriptor named 'A' not found", errorClass: 'GenericError' });
  void named.close('a');
  assert.equal(isOpen(number), false);
  assert.throws(() => named.close('a'), { message: "File descriptor named 'a' not found" });
});

test('the same name again closes the fd that had it', () => {
  const named = new NamedFds();
  const [first, second] = [openNull(), openNull()];
  const numbers = [first.fd, second.fd];
  named.set('a', first);
  named.set('a', second);
  assert.deepEqual(numbers.map(isOpen), [false, true]);
  void named.close('a');
});

test('a name must not begin with a digit, and the fd is closed then', () => {
  const named = new NamedFds();
  for (const name of ['1', '0x', '9 lives']) {
    const fd = openNull();
    const number = fd.fd;
    assert.throws(() => named.set(name, fd), {
      message: "Parameter 'fdname' expects a name not starting with a digit",
      errorClass: 'GenericError',
    });
    assert.equal(isOpen(number), false);
  }
});

test('every other name will do', () => {
  const named = new NamedFds();
  const names = ['', '-1', ' 1', 'a/b', '__proto__', '\u0661', 'x'.repeat(5000)];
  for (const name of names) named.set(name, openNull());
  for (const name of names) void named.close(name);
});

test('a command that uses a name takes the fd away', () => {
  const named = new NamedFds();
  const fd = openNull();
  named.set('socket', fd);
  const taken = named.take('socket');
  assert.equal(taken, fd);
  assert.throws(() => named.take('socket'), { message: "File descriptor named 'socket' has not been found" });
  taken.close();
});

test('disposing closes what is left', () => {
  const named = new NamedFds();
  const fds = [openNull(), openNull()];
  const numbers = fds.map(({ fd }) => fd);
  named.set('a', fds[0] as OwnedFd);
  named.set('b', fds[1] as OwnedFd);
  named[Symbol.dispose]();
  named[Symbol.dispose]();
  assert.deepEqual(numbers.map(isOpen), [false, false]);
});
