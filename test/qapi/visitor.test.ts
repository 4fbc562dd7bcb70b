import assert from 'node:assert/strict';
import test from 'node:test';
import { JsonDouble } from '../../src/json/index.ts';
import {
  addFd,
  alternate,
  any,
  array,
  blockdevAdd,
  command,
  compileArguments,
  enumeration,
  int16,
  int32,
  int8,
  nbdServerStart,
  nullType,
  number,
  optional,
  QapiError,
  queryFdsets,
  removeFd,
  size,
  str,
  struct,
  ThrottleLimits,
  uint16,
  uint64,
  uint8,
  visit,
  visitArguments,
} from '../../src/qapi/index.ts';
import { jsonObject, messageOf } from './values.ts';

test('arguments come out as a plain object with the members that were given', () => {
  const given = jsonObject('{"opaque": "disk", "fdset-id": 9223372036854775807}');
  assert.deepEqual(visitArguments(addFd, given), { 'fdset-id': 2n ** 63n - 1n, opaque: 'disk' });
  assert.deepEqual(visitArguments(addFd, jsonObject('{}')), {});
});

test('no arguments are the same as an empty object', () => {
  assert.deepEqual(visitArguments(addFd, undefined), {});
  assert.deepEqual(visitArguments(queryFdsets, undefined), {});
  assert.equal(
    messageOf(() => visitArguments(removeFd, undefined)),
    "Parameter 'fdset-id' is missing",
  );
});

test('a command without arguments takes none', () => {
  assert.equal(
    messageOf(() => visitArguments(queryFdsets, jsonObject('{"x": null}'))),
    "Parameter 'x' is unexpected",
  );
});

test('the first wrong member in schema order is reported, whatever the order sent', () => {
  const visitRemove = compileArguments(removeFd);
  assert.equal(
    messageOf(() => visitRemove(jsonObject('{"fd": "x", "fdset-id": "y"}'))),
    "Invalid parameter type for 'fdset-id', expected: integer",
  );
  assert.equal(
    messageOf(() => visitRemove(jsonObject('{"bogus": 1, "fd": 1}'))),
    "Parameter 'fdset-id' is missing",
  );
  assert.equal(
    messageOf(() => visitRemove(jsonObject('{"bogus": 1, "fd": 1, "fdset-id": 1}'))),
    "Parameter 'bogus' is unexpected",
  );
});

test('an error tells the parameter and a stable code', () => {
  const cases: [string, string, string][] = [
    ['{}', 'ERR_FDSET_PARAMETER_MISSING', 'addr'],
    ['{"addr": {"type": "unix", "data": {"path": 1}}}', 'ERR_FDSET_PARAMETER_TYPE', 'addr.data.path'],
    ['{"addr": {"type": "no"}}', 'ERR_FDSET_PARAMETER_VALUE', 'type'],
    ['{"addr": {"type": "fd", "data": {"str": "1", "x": 1}}}', 'ERR_FDSET_PARAMETER_UNEXPECTED', 'addr.data.x'],
  ];
  for (const [given, code, parameter] of cases) {
    assert.throws(
      () => visitArguments(nbdServerStart, jsonObject(given)),
      (error) => error instanceof QapiError && error.code === code && error.parameter === parameter,
    );
  }
});

test('names that every object has are no members', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.equal(
      messageOf(() => visitArguments(addFd, new Map([[name, 1]]))),
      `Parameter '${name}' is unexpected`,
    );
    assert.equal(
      messageOf(() => visitArguments(blockdevAdd, new Map([['driver', name]]))),
      `Parameter 'driver' does not accept value '${name}'`,
    );
  }
});

test('integers are bounded by their width', () => {
  const widths = struct('Widths', {
    a: optional(int8),
    b: optional(uint8),
    c: optional(int16),
    d: optional(uint16),
    e: optional(int32),
  });
  const edges = '{"a": -128, "b": 255, "c": -32768, "d": 65535, "e": -2147483648}';
  assert.deepEqual(visit(widths, jsonObject(edges)), { a: -128, b: 255, c: -32768, d: 65535, e: -2147483648 });
  const beyond: [string, string][] = [
    ['{"a": 128}', "Parameter 'a' expects int8_t"],
    ['{"a": -129}', "Parameter 'a' expects int8_t"],
    ['{"b": 256}', "Parameter 'b' expects uint8_t"],
    ['{"b": -1}', "Parameter 'b' expects uint8_t"],
    ['{"c": 32768}', "Parameter 'c' expects int16_t"],
    ['{"d": 65536}', "Parameter 'd' expects uint16_t"],
    ['{"e": 2147483648}', "Parameter 'e' expects int32_t"],
    ['{"e": 9223372036854775808}', "Invalid parameter type for 'e', expected: integer"],
    ['{"d": 18446744073709551616}', "Parameter 'd' expects uint64"],
  ];
  for (const [given, message] of beyond)
    assert.equal(
      messageOf(() => visit(widths, jsonObject(given))),
      message,
    );
});

test('negative integers count modulo 2^64 where an unsigned one is expected', () => {
  assert.equal(visit(uint64, -1), 2n ** 64n - 1n);
  assert.equal(visit(size, -(2n ** 63n)), 2n ** 63n);
  assert.equal(visit(uint64, 2n ** 64n - 1n), 2n ** 64n - 1n);
  assert.equal(visit(uint64, 5), 5);
});

test('a number may be an integer, an integer no double', () => {
  const one = struct('One', { n: number });
  assert.deepEqual(visit(one, jsonObject('{"n": 3}')), { n: 3 });
  assert.deepEqual(visit(one, jsonObject('{"n": 0.5}')), { n: 0.5 });
  assert.equal(
    messageOf(() => visit(one, jsonObject('{"n": "3"}'))),
    "Invalid parameter type for 'n', expected: number",
  );
  assert.equal(
    messageOf(() => visitArguments(addFd, new Map([['fdset-id', new JsonDouble(1)]]))),
    "Invalid parameter type for 'fdset-id', expected: integer",
  );
});

test('elements of lists have a path but no name of their own', () => {
  const matrix = struct('Matrix', { rows: array(array(str)), kinds: optional(array(enumeration('Kind', ['a']))) });
  assert.equal(
    messageOf(() => visit(matrix, jsonObject('{"rows": [["a"], ["b", 1]]}'))),
    "Invalid parameter type for 'rows[1][1]', expected: string",
  );
  assert.equal(
    messageOf(() => visit(matrix, jsonObject('{"rows": [], "kinds": ["a", "b"]}'))),
    "Parameter 'null' does not accept value 'b'",
  );
  assert.equal(
    messageOf(() => visit(matrix, jsonObject('{"rows": [], "kinds": ["a", {}]}'))),
    "Invalid parameter type for 'kinds[1]', expected: string",
  );
});

test('an alternate takes the branch of the JSON type', () => {
  const choice = struct('Choice', { c: alternate('StrOrList', { s: str, l: array(str), n: nullType }) });
  for (const given of ['{"c": "x"}', '{"c": ["x"]}', '{"c": null}']) {
    assert.deepEqual(Object.keys(visit(choice, jsonObject(given))), ['c']);
  }
  for (const given of ['{"c": 1}', '{"c": 1.5}', '{"c": true}', '{"c": {}}', '{"c": 18446744073709551615}']) {
    assert.equal(
      messageOf(() => visit(choice, jsonObject(given))),
      "Invalid parameter type for 'c', expected: StrOrList",
    );
  }
});

test('any value is handed on untouched', () => {
  const value = jsonObject('{"deep": [1.5, {"x": null}]}');
  assert.equal(visit(any, value), value);
});

test('a value checked on its own has the path that its name begins', () => {
  const limits = jsonObject('{"iops-total": "x"}');
  assert.equal(
    messageOf(() => visit(ThrottleLimits, limits, 'limits')),
    "Invalid parameter type for 'limits.iops-total', expected: integer",
  );
  assert.equal(
    messageOf(() => visit(ThrottleLimits, 5, 'limits')),
    "Invalid parameter type for 'limits', expected: object",
  );
  assert.equal(
    messageOf(() => visit(ThrottleLimits, limits)),
    "Invalid parameter type for 'iops-total', expected: integer",
  );
});

test('nesting as deep as the parser allows is visited, not overflowed', () => {
  const depth = 1000;
  const text = `{"driver": "raw", "node-name": "x", "file": ${'{"driver": "raw", "file": '.repeat(depth)}7${'}'.repeat(depth)}}`;
  assert.equal(
    messageOf(() => visitArguments(blockdevAdd, jsonObject(text))),
    "Invalid parameter type for 'file', expected: BlockdevRef",
  );
});

test('members of a union are those of the base, then of the variant', () => {
  const typed = command('typed', { data: { a: optional(str) } });
  assert.deepEqual(visitArguments(typed, jsonObject('{"a": "x"}')), { a: 'x' });
  assert.deepEqual(visitArguments(blockdevAdd, jsonObject('{"size": 5, "driver": "null-co", "cache": {}}')), {
    driver: 'null-co',
    cache: {},
    size: 5,
  });
});
