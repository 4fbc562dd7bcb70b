import assert from 'node:assert/strict';
import { closeSync, openSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { closeFd, dupFd, fileFacts, O, pipe, sameDescription, socketPair, SystemError } from '../../src/addon/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const path = join(temporaryFolder(), 'file');
writeFileSync(path, 'twelve bytes');

/** The facts about an fd that is closed then. */
function factsOf(fd: number): ReturnType<typeof fileFacts> {
  try {
    return fileFacts(fd);
  } finally {
    closeFd(fd);
  }
}

test('the facts about a file are those that stat tells, whatever it was opened for', () => {
  const { ino, dev, size } = statSync(path, { bigint: true });
  const device = `${(dev >> 8n) & 0xfffn}:${(dev & 0xffn) | ((dev >> 12n) & 0xfff00n)}`;
  for (const flags of [O.O_RDONLY, O.O_RDWR, O.O_PATH]) {
    assert.deepEqual(factsOf(openSync(path, flags)), { type: 'regular', device, inode: ino, size });
  }
});

test('a file that was deleted is still known', () => {
  const gone = `${path}-gone`;
  const fd = openSync(gone, 'w');
  unlinkSync(gone);
  assert.equal(factsOf(fd).type, 'regular');
});

test('folders, devices, pipes and sockets are told apart', () => {
  const [readEnd, writeEnd] = pipe();
  const [one, other] = socketPair();
  const fds = [openSync('/', 'r'), openSync('/dev/null', 'r'), readEnd, writeEnd, one, other];
  assert.deepEqual(
    fds.map((fd) => factsOf(fd).type),
    ['directory', 'character', 'fifo', 'fifo', 'socket', 'socket'],
  );
});

test('a number that is not open is EBADF', () => {
  const isEbadf = (error: unknown) => error instanceof SystemError && error.errno === constants.errno.EBADF;
  assert.throws(() => fileFacts(987_654), isEbadf);
});

test('fds share an open file description where one duplicates the other, not where the file is opened twice', () => {
  const fd = openSync(path, 'r');
  const [dup, again] = [dupFd(fd), openSync(path, 'r')];
  // Where neither F_DUPFD_QUERY nor kcmp is to be had, nothing is said; this kernel or container may be such.
  if (sameDescription(fd, fd) !== undefined) {
    assert.deepEqual([sameDescription(fd, dup), sameDescription(fd, again)], [true, false]);
  }
  for (const open of [fd, dup, again]) closeSync(open);
  assert.equal(sameDescription(987_654, 987_655), undefined);
});
