import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { formatDouble } from '../../src/json/double-format.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('doubles print as C prints them with %.17g', () => {
  for (const [value, text] of [
    [0.1, '0.10000000000000001'],
    [1e22, '1e+22'],
    [1e16, '10000000000000000'],
    [1e17, '1e+17'],
    [123456789.125, '123456789.125'],
    [5e-324, '4.9406564584124654e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [1e-5, '1.0000000000000001e-05'],
    [0.0001, '0.0001'],
    [100, '100'],
    [-1.5, '-1.5'],
    [Math.PI, '3.1415926535897931'],
    [0, '0'],
    [-0, '-0'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [NaN, 'nan'],
  ] as const) {
    assert.equal(formatDouble(value), text);
  }
});

test('a tie at the 17th digit goes to the even one, unlike in JavaScript', () => {
  assert.equal((2 ** -25).toPrecision(17), '2.9802322387695313e-8');
  assert.equal(formatDouble(2 ** -25), '2.9802322387695312e-08');
  assert.equal(formatDouble(-(2 ** -25)), '-2.9802322387695312e-08');
  assert.equal(formatDouble(1000000000000000.25), '1000000000000000.2');
  assert.equal(formatDouble(1000000000000000.75), '1000000000000000.8');
  assert.equal(formatDouble(1000000000000001.25), '1000000000000001.2');
});

test('what is printed reads back as the same double', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.ok(Object.is(Number(formatDouble(value)), value));
    }),
    { numRuns: 2000 },
  );
});
