// Is a file closed when its last operation is back, and not before?
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HeldFile } from '../../src/block/held-file.ts';

interface Fake {
  readonly file: HeldFile;
  closed: number;
}

function fakeFile(close: () => void | Promise<void> = () => undefined): Fake {
  const fake: Fake = {
    file: new HeldFile({
      fd: 7,
      close: () => {
        fake.closed++;
        return close();
      },
    }),
    closed: 0,
  };
  return fake;
}

test('a file that nothing uses is closed when it is given up', async () => {
  const fake = fakeFile();
  assert.equal(await fake.file.use(async (fd) => fd), 7);
  assert.equal(fake.closed, 0);
  fake.file.retire();
  assert.equal(fake.closed, 1);
  await fake.file.closed;
});

test('a file in use is closed when the last operation ends, whether it fails or not', async () => {
  const fake = fakeFile();
  let endFirst = (): void => undefined;
  let failSecond = (_error: Error): void => undefined;
  const first = fake.file.use(() => new Promise<void>((resolve) => (endFirst = resolve)));
  const second = fake.file.use(() => new Promise<void>((_, reject) => (failSecond = reject)));
  assert.equal(fake.file.users, 2);
  fake.file.retire();
  endFirst();
  await first;
  assert.equal(fake.closed, 0);
  failSecond(new Error('EIO'));
  await assert.rejects(second);
  assert.equal(fake.closed, 1);
});

test('a closed file refuses operations: its number may be another file by now', async () => {
  const fake = fakeFile();
  fake.file.retire();
  await assert.rejects(
    fake.file.use(async () => assert.fail('used')),
    { errnoName: 'EBADF' },
  );
});

test('giving a file up twice is a programming error', () => {
  const fake = fakeFile();
  fake.file.retire();
  assert.throws(() => fake.file.retire(), { message: 'a held file is retired twice' });
  assert.equal(fake.closed, 1);
});

test('a close that fails, at once or later, counts as closed', async () => {
  const atOnce = fakeFile(() => {
    throw new Error('EIO');
  });
  atOnce.file.retire();
  await atOnce.file.closed;
  const later = fakeFile(() => Promise.reject(new Error('EIO')));
  later.file.retire();
  await later.file.closed;
});
