import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseJson } from '../../src/json/index.ts';
import { ERROR_CLASSES, isErrorClass, parseResponse, parseVersion, type QmpMessage } from '../../src/qmp/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const parse = (text: string): QmpMessage => parseResponse(parseJson(text));

test('a greeting has the version and the capabilities whose form is known', () => {
  const text =
    '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob", 1]}}';
  const version = { qemu: { major: 10, minor: 0, micro: 2 }, package: '' };
  assert.deepEqual(parse(text), { kind: 'greeting', version, capabilities: ['oob'] });
});

test('a return and an error carry the id, which may be null or absent', () => {
  assert.deepEqual(parse('{"return": {}}'), { kind: 'return', value: new Map(), id: undefined });
  assert.deepEqual(parse('{"return": null, "id": null}'), { kind: 'return', value: null, id: null });
  assert.deepEqual(parse('{"id": 7, "error": {"class": "NewClass", "desc": "no"}}'), {
    kind: 'error',
    errorClass: 'NewClass',
    desc: 'no',
    id: 7,
  });
});

test('an event may have data', () => {
  const timestamp = { seconds: 1, microseconds: 2 };
  const prefix = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "E"';
  assert.deepEqual(parse(`${prefix}}`), { kind: 'event', name: 'E', data: undefined, timestamp });
  assert.deepEqual(parse(`${prefix}, "data": {"a": 1}}`), {
    kind: 'event',
    name: 'E',
    data: new Map([['a', 1]]),
    timestamp,
  });
});

test('anything else is garbage, with a reason', () => {
  for (const [text, reason] of [
    ['1', 'not an object'],
    ['{}', 'neither a return nor an error, event or greeting'],
    ['{"id": 1}', 'neither a return nor an error, event or greeting'],
    ['{"error": "no"}', 'an error without class or desc'],
    ['{"error": {"class": "GenericError", "desc": 1}}', 'an error without class or desc'],
    ['{"event": 1}', 'an event without a name'],
    ['{"event": "E"}', 'an event without a time'],
    ['{"event": "E", "timestamp": {"seconds": 1.5, "microseconds": 0}}', 'an event without a time'],
    ['{"event": "E", "data": 1}', 'an event whose data is not an object'],
    ['{"QMP": {}}', 'a greeting without a version'],
    ['{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}}}}', 'a greeting without capabilities'],
  ] as const) {
    assert.deepEqual(parse(text), { kind: 'garbage', reason, value: parseJson(text) });
  }
});

test('a version needs its three numbers', () => {
  const text = '{"qemu": {"micro": 1, "minor": 2, "major": 3}, "package": "p"}';
  assert.deepEqual(parseVersion(parseJson(text)), { qemu: { major: 3, minor: 2, micro: 1 }, package: 'p' });
  assert.equal(parseVersion(parseJson('{"qemu": {"micro": 1, "minor": 2}}')), undefined);
  assert.equal(parseVersion(null), undefined);
});

test('error classes are those of QAPI', () => {
  assert.equal(ERROR_CLASSES.length, 5);
  assert.ok(isErrorClass('DeviceNotFound'));
  assert.ok(!isErrorClass('toString'));
});
