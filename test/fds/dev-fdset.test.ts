import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseDevFdset } from '../../src/fds/index.ts';

test('the number is what strtol takes for a decimal int that is not negative', () => {
  const accepted: [string, number][] = [
    ['1', 1],
    ['01', 1],
    ['001', 1],
    ['00', 0],
    ['012', 12],
    ['+1', 1],
    ['-0', 0],
    [' 1', 1],
    ['\t1', 1],
    [' \n\v\f\r\t+7', 7],
    ['2147483647', 2147483647],
    ['000000000000000000000000000001', 1],
  ];
  for (const [text, id] of accepted)
    assert.ok(Object.is(parseDevFdset(`/dev/fdset/${text}`), id), JSON.stringify(text));
});

test('anything else behind the prefix is an error that repeats the name', () => {
  const rejected = ['', 'x', '1x', '0x1', '0x10', '1.0', '1e0', '1 ', '1\n', '1/', '1/x', '/1', '-1', '+', '-', '--1'];
  rejected.push('+-1', '1,x', '2147483648', '4294967297', '18446744073709551616', '9223372036854775807');
  rejected.push('-2147483648', '1\0', '\0', '\u0661', '\u00a01', '9'.repeat(400));
  for (const text of rejected) {
    assert.throws(() => parseDevFdset(`/dev/fdset/${text}`), {
      name: 'FdsetError',
      message: `Could not parse fdset /dev/fdset/${text}`,
      errorClass: 'GenericError',
    });
  }
});

test('other names are ordinary paths', () => {
  for (const name of [
    '',
    '/dev/fdset',
    '/dev//fdset/1',
    '/DEV/fdset/1',
    './dev/fdset/1',
    'file:/dev/fdset/1',
    ' /dev/fdset/1',
  ]) {
    assert.equal(parseDevFdset(name), undefined);
  }
});
