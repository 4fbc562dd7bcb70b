import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { test } from 'node:test';

import { closeFd } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const openNull = () => openSync(devNull, 'r');
const isOpen = (fd: number) => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

test('close closes the fd, and a second close throws', () => {
  const owned = new OwnedFd(openNull());
  const { fd } = owned;
  owned.close();
  assert.equal(isOpen(fd), false);
  assert.equal(owned.closed, true);
  assert.throws(() => owned.close(), { code: 'ERR_FDSET_FD_GONE' });
  assert.throws(() => owned.fd, { code: 'ERR_FDSET_FD_GONE' });
  assert.throws(() => owned.dup(), { code: 'ERR_FDSET_FD_GONE' });
});

test('move gives the number away and leaves the fd open', () => {
  const owned = OwnedFd.adopt(openNull());
  const fd = owned.move();
  assert.equal(owned.closed, true);
  assert.equal(isOpen(fd), true);
  assert.throws(() => owned.move(), { code: 'ERR_FDSET_FD_GONE' });
  closeSync(fd);
});

test('dup gives a second owner of the same file', () => {
  const owned = new OwnedFd(openNull());
  const copy = owned.dup();
  owned.close();
  assert.equal(isOpen(copy.fd), true);
  copy.close();
});

test('dispose closes what is still owned, however often it is called', () => {
  const owned = new OwnedFd(openNull());
  const { fd } = owned;
  owned[Symbol.dispose]();
  owned[Symbol.dispose]();
  assert.equal(isOpen(fd), false);

  const moved = new OwnedFd(openNull());
  const number = moved.move();
  moved[Symbol.dispose]();
  assert.equal(isOpen(number), true);
  closeSync(number);
});

test('a number that someone else has closed is reported, not passed over', () => {
  const owned = new OwnedFd(openNull());
  closeFd(owned.fd);
  assert.throws(() => owned.close(), { errnoName: 'EBADF' });
  assert.equal(owned.closed, true);
});

test('only an fd can be owned', () => {
  for (const wrong of [-1, 0.5, Number.NaN]) assert.throws(() => new OwnedFd(wrong), TypeError);
});
