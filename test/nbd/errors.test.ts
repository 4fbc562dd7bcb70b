import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';

import { SystemError } from '../../src/addon/index.ts';
import { NbdReplyError, nbdErrorFor, nbdErrorName } from '../../src/nbd/errors.ts';

test('system errors become the errors of the protocol', () => {
  const expected = {
    EPERM: 1,
    EROFS: 1,
    EIO: 5,
    ENOMEM: 12,
    EINVAL: 22,
    ENOSPC: 28,
    EDQUOT: 28,
    EFBIG: 28,
    EOVERFLOW: 75,
    EOPNOTSUPP: 95,
  };
  for (const [name, value] of Object.entries(expected)) {
    const errno = constants.errno[name as keyof typeof constants.errno];
    assert.equal(nbdErrorFor(new SystemError(errno, 'pwrite')), value, name);
  }
});

test('a disk that has been detached shuts down', () => {
  assert.equal(nbdErrorFor(new SystemError(108, 'block request')), 108);
});

test('errors of the system that the protocol has no number for are EINVAL', () => {
  assert.equal(nbdErrorFor(new SystemError(constants.errno.ENXIO, 'pread')), 22);
});

test("Node's own errors are understood too", () => {
  assert.equal(nbdErrorFor(Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28 })), 28);
});

test('what is no error of the system is EIO', () => {
  assert.equal(nbdErrorFor(new TypeError('undefined is not a function')), 5);
  assert.equal(nbdErrorFor(undefined), 5);
  assert.equal(nbdErrorFor('text'), 5);
});

test('errors have names', () => {
  assert.equal(nbdErrorName(28), 'ENOSPC');
  assert.equal(nbdErrorName(7), 'errno 7');
  assert.equal(new NbdReplyError('read', 5).message, 'read: EIO');
  assert.equal(new NbdReplyError('read', 5, 'disk on fire').message, 'read: EIO: disk on fire');
  assert.equal(new NbdReplyError('export', 0x80000006).message, 'export: option error 6');
});
