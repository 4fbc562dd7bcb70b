// QEMU 7.2's rules of fd sets, where they are not those of 10.0.
import assert from 'node:assert/strict';
import { constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';

import { getStatusFlags } from '../../src/addon/index.ts';
import { FdsetError } from '../../src/errors.ts';
import { FDSET_RULES_7_2, FdsetTable, OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const { O_DIRECT, O_DSYNC, O_RDONLY, O_RDWR } = constants;
const O_PATH = 0o10000000;
// Not /tmp, where a tmpfs may know no O_DIRECT.
const folder = mkdtempSync(join(process.cwd(), 'build', 'fdset-rules-'));
after(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'image');
writeFileSync(image, 'image');

const openImage = (flags: number): OwnedFd => new OwnedFd(openSync(image, flags));

function table(): FdsetTable {
  const made = new FdsetTable(FDSET_RULES_7_2);
  made.setMonitorClients(1);
  return made;
}

suite('unused fds of QEMU 7.2', () => {
  test('close when the last monitor client leaves, those of sets in use stay', () => {
    const fdsets = table();
    fdsets.add(openImage(O_RDONLY), { fdsetId: 1 });
    const { fd } = fdsets.add(openImage(O_RDONLY), { fdsetId: 2 });
    const dup = fdsets.openDup(2, O_RDONLY, 'test', '/dev/fdset/2');
    fdsets.setMonitorClients(2);
    fdsets.setMonitorClients(1);
    assert.equal(fdsets.query().length, 2);
    fdsets.setMonitorClients(0);
    assert.deepEqual(fdsets.query(), [{ 'fdset-id': 2, fds: [{ fd }] }]);
    dup.close();
    assert.deepEqual(fdsets.query(), []);
  });

  test('stay when their last dup closes while a client is connected', () => {
    const fdsets = table();
    fdsets.add(openImage(O_RDONLY), { fdsetId: 1 });
    fdsets.openDup(1, O_RDONLY, 'test', '/dev/fdset/1').close();
    assert.equal(fdsets.query().length, 1);
    fdsets[Symbol.dispose]();
  });
});

suite('opening with the rules of QEMU 7.2', () => {
  test('O_DIRECT does not matter for the choice, and is set or cleared on the description', () => {
    const fdsets = table();
    const buffered = openSync(image, O_RDWR);
    fdsets.add(new OwnedFd(buffered), { fdsetId: 1 });
    const direct = fdsets.openDup(1, O_RDWR | O_DIRECT, 'test', '/dev/fdset/1');
    assert.equal(getStatusFlags(buffered) & O_DIRECT, O_DIRECT);
    fdsets.openDup(1, O_RDWR, 'test', '/dev/fdset/1').close();
    assert.equal(getStatusFlags(buffered) & O_DIRECT, 0);
    direct.close();
    fdsets[Symbol.dispose]();
  });

  const failures: [string, number, string, string][] = [
    ['there is no such set', O_RDWR, '/dev/fdset/04', 'No such file or directory'],
    ['no fd has the access mode', O_RDWR, '/dev/fdset/1', 'Permission denied'],
    ['the description is synchronous', O_RDONLY, '/dev/fdset/2', 'Invalid argument'],
    ['the fd is only a place in the file system', O_RDONLY, '/dev/fdset/3', 'Bad file descriptor'],
  ];
  for (const [what, flags, filename, reason] of failures) {
    test(`says so in the words of 7.2 where ${what}`, () => {
      const fdsets = table();
      fdsets.add(openImage(O_RDONLY), { fdsetId: 1 });
      fdsets.add(openImage(O_RDONLY | O_DSYNC), { fdsetId: 2 });
      fdsets.add(openImage(O_RDONLY | O_PATH), { fdsetId: 3 });
      const id = Number(filename.slice('/dev/fdset/'.length));
      const text = `Could not dup FD for ${filename} flags ${flags.toString(16)}: ${reason}`;
      assert.throws(
        () => fdsets.openDup(id, flags, 'test', filename),
        (error) => error instanceof FdsetError && error.message === text,
      );
      fdsets[Symbol.dispose]();
    });
  }
});
