import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { O, getCloseOnExec, getStatusFlags } from '../../src/addon/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { FdsetTable, OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

// Not /tmp, where a tmpfs may know no O_DIRECT.
const folder = mkdtempSync(join(process.cwd(), 'build', 'fdset-'));
after(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'image');
writeFileSync(image, 'image');

const openImage = (flags: number) => new OwnedFd(openSync(image, flags));
const isOpen = (fd: number) => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};
const generic = (message: string) => (error: unknown) =>
  error instanceof FdsetError && error.errorClass === 'GenericError' && error.message === message;

function withTable(use: (table: FdsetTable) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const table = new FdsetTable();
    try {
      await use(table);
    } finally {
      table[Symbol.dispose]();
    }
  };
}

test(
  'without an id each fd gets a new set, with the lowest id that is free',
  withTable((table) => {
    const add = (fdsetId?: number) => table.add(openImage(O.O_RDONLY), { fdsetId }).fdsetId;
    assert.deepEqual([add(), add(), add()], [0, 1, 2]);
    void table.remove(1);
    assert.deepEqual([add(), add()], [1, 3]);
    assert.deepEqual([add(6), add(4)], [6, 4]);
    assert.deepEqual([add(), add()], [5, 7]);
    for (const id of [6, 0, 3]) void table.remove(id);
    assert.deepEqual([add(), add(), add(), add()], [0, 3, 6, 8]);
  }),
);

test(
  'add returns the number that the fd has in this process',
  withTable((table) => {
    const fd = openImage(O.O_RDONLY);
    const number = fd.fd;
    assert.deepEqual(table.add(fd, { fdsetId: 5 }), { fdsetId: 5, fd: number });
  }),
);

test(
  'query lists sets by descending id, fds by age, and opaque only where it was given',
  withTable((table) => {
    const add = (fdsetId: number | bigint, opaque?: string) => table.add(openImage(O.O_RDONLY), { fdsetId, opaque }).fd;
    const big = 2n ** 63n - 1n;
    const first = add(3, 'first');
    const huge = add(big, '');
    const low = add(0);
    const second = add(3);
    assert.deepEqual(table.query(), [
      { 'fdset-id': big, fds: [{ fd: huge, opaque: '' }] },
      { 'fdset-id': 3, fds: [{ fd: first, opaque: 'first' }, { fd: second }] },
      { 'fdset-id': 0, fds: [{ fd: low }] },
    ]);
    const middle = add(2 ** 40);
    void table.remove(0);
    assert.deepEqual(
      table.query().map((set) => set['fdset-id']),
      [big, 2 ** 40, 3],
    );
    void table.remove(big);
    assert.equal(isOpen(huge), false);
    assert.equal(isOpen(middle), true);
  }),
);

test(
  'a negative id is refused, and the fd is closed',
  withTable((table) => {
    for (const fdsetId of [-1, -(2n ** 63n)]) {
      const fd = openImage(O.O_RDONLY);
      const number = fd.fd;
      assert.throws(() => table.add(fd, { fdsetId }), generic("Parameter 'fdset-id' expects a non-negative value"));
      assert.equal(isOpen(number), false);
    }
    assert.deepEqual(table.query(), []);
  }),
);

test(
  'remove closes one fd or all of a set, at once',
  withTable((table) => {
    const [first, second, third] = [0, 1, 2].map(() => table.add(openImage(O.O_RDONLY), { fdsetId: 1 }).fd);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    void table.remove(1, second);
    assert.deepEqual([first, second, third].map(isOpen), [true, false, true]);
    assert.deepEqual(table.query(), [{ 'fdset-id': 1, fds: [{ fd: first }, { fd: third }] }]);
    void table.remove(1);
    assert.deepEqual([first, second, third].map(isOpen), [false, false, false]);
    assert.deepEqual(table.query(), []);
  }),
);

test(
  'remove of what is not there says so in the words of QEMU',
  withTable((table) => {
    const { fd } = table.add(openImage(O.O_RDONLY), { fdsetId: 1 });
    table.add(openImage(O.O_RDONLY), { fdsetId: 2 });
    const named = (name: string) => generic(`File descriptor named '${name}' not found`);
    assert.throws(() => table.remove(99), named('fdset-id:99'));
    assert.throws(() => table.remove(99, 7), named('fdset-id:99, fd:7'));
    assert.throws(() => table.remove(-1), named('fdset-id:-1'));
    assert.throws(() => table.remove(-1, -1), named('fdset-id:-1, fd:-1'));
    assert.throws(() => table.remove(2, fd), named(`fdset-id:2, fd:${fd}`));
    assert.throws(() => table.remove(1, 2n ** 63n - 1n), named('fdset-id:1, fd:9223372036854775807'));
    assert.equal(table.query().length, 2);
  }),
);

test(
  'opening duplicates the newest fd with the same access mode, close-on-exec, and shares its description',
  withTable((table) => {
    table.add(openImage(O.O_RDWR), { fdsetId: 1 });
    const newest = openImage(O.O_RDWR).fd;
    table.add(new OwnedFd(newest), { fdsetId: 1 });
    table.add(openImage(O.O_RDONLY), { fdsetId: 1 });
    const dup = table.openDup(1, O.O_RDWR | O.O_APPEND, 'node n0', '/dev/fdset/1');
    assert.equal(getCloseOnExec(dup.fd), true);
    assert.equal(getStatusFlags(dup.fd) & O.O_ACCMODE, O.O_RDWR);
    assert.equal(getStatusFlags(newest) & O.O_APPEND, O.O_APPEND);
    const again = table.openDup(1, O.O_RDWR, 'node n1', '/dev/fdset/1');
    assert.equal(getStatusFlags(newest) & O.O_APPEND, 0);
    dup.close();
    again.close();
  }),
);

test(
  'no set, and no fd that matches, are told apart',
  withTable((table) => {
    const open = (id: number, flags: number) => () => table.openDup(id, flags, 'test', `/dev/fdset/0${id}`);
    assert.throws(open(12, O.O_RDONLY), generic('Failed to find fdset /dev/fdset/12'));
    table.add(openImage(O.O_RDWR), { fdsetId: 1 });
    assert.throws(open(1, O.O_RDONLY), generic('Failed to find file descriptor with matching flags=0x0'));
    assert.throws(open(1, O.O_WRONLY), generic('Failed to find file descriptor with matching flags=0x1'));
    assert.throws(open(1, 0x4002), generic('Failed to find file descriptor with matching flags=0x4002'));
    table.add(openImage(O.O_RDONLY), { fdsetId: 2 });
    assert.throws(open(2, O.O_RDWR), generic('Failed to find file descriptor with matching flags=0x2'));
  }),
);

test('O_DIRECT has to match', async (t) => {
  let direct: OwnedFd;
  try {
    direct = openImage(O.O_RDWR | O.O_DIRECT);
  } catch {
    t.skip('this file system has no O_DIRECT');
    return;
  }
  await withTable((table) => {
    table.add(direct, { fdsetId: 1 });
    assert.throws(() => table.openDup(1, O.O_RDWR, 'test', '/dev/fdset/1'), { code: 'ERR_FDSET_NO_MATCHING_FD' });
    const dup = table.openDup(1, O.O_RDWR | O.O_DIRECT, 'test', '/dev/fdset/1');
    assert.equal(getStatusFlags(dup.fd) & O.O_DIRECT, O.O_DIRECT);
    dup.close();
  })();
});

test(
  'an fd that matches but cannot be duplicated is named, and nothing is left behind',
  withTable((table) => {
    const cannot = (fd: number) => generic(`Failed to dup() given file descriptor fd=${fd}`);
    const synchronous = table.add(openImage(O.O_RDWR | O.O_SYNC), { fdsetId: 1 });
    assert.throws(() => table.openDup(1, O.O_RDWR, 'test', '/dev/fdset/1'), cannot(synchronous.fd));
    const dataSynchronous = table.add(openImage(O.O_RDWR | O.O_DSYNC), { fdsetId: 2 });
    assert.throws(() => table.openDup(2, O.O_RDWR, 'test', '/dev/fdset/2'), cannot(dataSynchronous.fd));
    const path = table.add(openImage(O.O_PATH), { fdsetId: 3 });
    assert.throws(() => table.openDup(3, O.O_RDONLY, 'test', '/dev/fdset/3'), cannot(path.fd));
    table.openDup(1, O.O_RDWR | O.O_SYNC, 'test', '/dev/fdset/1').close();
    for (const id of [1, 2, 3]) void table.remove(id);
    assert.deepEqual(table.query(), []);
  }),
);

test(
  'an fd whose flags cannot be read is named',
  withTable((table) => {
    const { fd } = table.add(openImage(O.O_RDWR), { fdsetId: 1 });
    closeSync(fd); // behind the table's back
    assert.throws(
      () => table.openDup(1, O.O_RDWR, 'test', '/dev/fdset/1'),
      generic(`Failed to read file status flags for fd=${fd}`),
    );
    assert.throws(() => table.remove(1), { errnoName: 'EBADF' });
    assert.deepEqual(table.query(), []);
  }),
);

test(
  'a set with dups only stays, empty, until they are closed; its id is used',
  withTable(async (table) => {
    table.add(openImage(O.O_RDONLY));
    const dup = table.openDup(0, O.O_RDONLY, 'node n0', '/dev/fdset/0');
    const other = table.openDup(0, O.O_RDONLY, 'node n1', '/dev/fdset/0');
    void table.remove(0);
    assert.deepEqual(table.query(), [{ 'fdset-id': 0, fds: [] }]);
    assert.equal(isOpen(dup.fd), true);
    void table.remove(0); // nothing to do
    assert.throws(() => table.openDup(0, O.O_RDONLY, 'test', '/dev/fdset/0'), { code: 'ERR_FDSET_NO_MATCHING_FD' });
    assert.equal(table.add(openImage(O.O_RDONLY)).fdsetId, 1);
    table.add(openImage(O.O_RDONLY), { fdsetId: 0 });
    void table.remove(0);
    const { fd } = dup;
    dup.close();
    assert.equal(isOpen(fd), false);
    assert.equal(table.query().length, 2);
    const closing = other.closeInPool();
    assert.equal(table.query().length, 1);
    await closing;
    assert.throws(() => dup.close(), { code: 'ERR_FDSET_FD_GONE' });
    assert.equal(table.add(openImage(O.O_RDONLY)).fdsetId, 0);
  }),
);

test(
  'a dup that is closed twice does not harm a new set of the same id',
  withTable((table) => {
    table.add(openImage(O.O_RDONLY));
    const dup = table.openDup(0, O.O_RDONLY, 'test', '/dev/fdset/0');
    void table.remove(0);
    dup.close();
    table.add(openImage(O.O_RDONLY));
    assert.throws(() => dup.close(), { code: 'ERR_FDSET_FD_GONE' });
    assert.equal(table.query().length, 1);
  }),
);

test(
  'the ledger tells who gave each fd, who holds each dup, and since when',
  withTable((table) => {
    const start = Date.now();
    const addedBy = { monitor: 'mon0', pid: 42 };
    const first = table.add(openImage(O.O_RDWR), { fdsetId: 7, opaque: 'disk', addedBy }).fd;
    const second = table.add(openImage(O.O_RDONLY), { fdsetId: 7 }).fd;
    const dup = table.openDup(7, O.O_RDWR, 'node disk0', '/dev/fdset/007');
    const [record, ...others] = table.records();
    assert.deepEqual(others, []);
    const addedAt = record?.fds.map((member) => member.addedAt) ?? [];
    const openedAt = record?.dups.map((each) => each.openedAt) ?? [];
    for (const time of [...addedAt, ...openedAt]) assert.ok(time >= start && time <= Date.now());
    assert.deepEqual(record, {
      fdsetId: 7,
      fds: [
        { fd: first, opaque: 'disk', addedAt: addedAt[0], addedBy },
        { fd: second, addedAt: addedAt[1] },
      ],
      dups: [
        {
          fd: dup.fd,
          member: first,
          holder: 'node disk0',
          filename: '/dev/fdset/007',
          openedAt: openedAt[0],
          sharedWith: [],
        },
      ],
    });
    dup.close();
  }),
);

test('disposing a table closes what the user gave and leaves dups to their holders', () => {
  const table = new FdsetTable();
  const { fd } = table.add(openImage(O.O_RDONLY));
  table.add(openImage(O.O_RDONLY));
  const dup = table.openDup(0, O.O_RDONLY, 'test', '/dev/fdset/0');
  table[Symbol.dispose]();
  assert.equal(isOpen(fd), false);
  assert.equal(isOpen(dup.fd), true);
  assert.deepEqual(table.query(), [{ 'fdset-id': 0, fds: [] }]);
  dup.close();
  assert.deepEqual(table.query(), []);
});
