import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { SystemError, checkResult, errnoName, strerror } from '../../src/addon/index.ts';
import { FdsetError } from '../../src/errors.ts';

test('strerror gives the texts of C', () => {
  assert.equal(strerror(constants.errno.EACCES), 'Permission denied');
  assert.equal(strerror(constants.errno.ENOENT), 'No such file or directory');
});

test('errnoName gives one name per number, and says so where it knows none', () => {
  assert.equal(errnoName(constants.errno.EAGAIN), 'EAGAIN');
  assert.equal(errnoName(constants.errno.EOPNOTSUPP), 'EOPNOTSUPP');
  assert.equal(errnoName(4095), 'errno 4095');
});

test('a SystemError carries errno, its name and the call, and its message is the text of C alone', () => {
  const error = new SystemError(constants.errno.EINVAL, 'fcntl');
  assert.ok(error instanceof FdsetError);
  assert.equal(error.message, 'Invalid argument');
  assert.equal(error.errno, constants.errno.EINVAL);
  assert.equal(error.errnoName, 'EINVAL');
  assert.equal(error.syscall, 'fcntl');
  assert.equal(error.name, 'SystemError');
});

test('checkResult passes results on and throws what is negative', () => {
  assert.equal(checkResult(0, 'dup'), 0);
  assert.equal(checkResult(7, 'dup'), 7);
  assert.throws(() => checkResult(-9, 'dup'), { errnoName: 'EBADF', message: 'Bad file descriptor', syscall: 'dup' });
});
