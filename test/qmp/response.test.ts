import assert from 'node:assert/strict';
import { test } from 'node:test';

import { encodeError, encodeEvent, encodeReturn, greeting, timestampNow } from '../../src/qmp/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('a return is one line, with the id echoed where there is one', () => {
  assert.equal(encodeReturn(undefined), '{"return": {}}\r\n');
  assert.equal(encodeReturn({}, 1), '{"return": {}, "id": 1}\r\n');
  assert.equal(encodeReturn(undefined, 1), '{"return": {}, "id": 1}\r\n');
  assert.equal(encodeReturn(undefined, 'x'), '{"return": {}, "id": "x"}\r\n');
  assert.equal(encodeReturn(undefined, null), '{"return": {}, "id": null}\r\n');
  assert.equal(encodeReturn(undefined, 2 ** 60), '{"return": {}, "id": 1152921504606846976}\r\n');
  assert.equal(encodeReturn({ 'fdset-id': 1, fd: 12 }, 1234), '{"return": {"fd": 12, "fdset-id": 1}, "id": 1234}\r\n');
  assert.equal(encodeReturn([], new Map([['k', 1n << 63n]])), '{"return": [], "id": {"k": 9223372036854775808}}\r\n');
});

test('an error has its id before it', () => {
  assert.equal(
    encodeError('CommandNotFound', 'The command é has not been found', 7),
    '{"id": 7, "error": {"class": "CommandNotFound", "desc": "The command \\u00E9 has not been found"}}\r\n',
  );
  assert.equal(encodeError('GenericError', 'x'), '{"error": {"class": "GenericError", "desc": "x"}}\r\n');
});

test('an event may have data', () => {
  const time = { seconds: 1, microseconds: 2 };
  const prefix = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": ';
  assert.equal(encodeEvent('STOP', undefined, time), `${prefix}"STOP"}\r\n`);
  assert.equal(encodeEvent('E', { id: 'x' }, time), `${prefix}"E", "data": {"id": "x"}}\r\n`);
});

test('the greeting has version and capabilities', () => {
  const version = { qemu: { major: 10, minor: 0, micro: 2 }, package: 'fdset 0.1.0' };
  assert.equal(
    greeting(version, ['oob']),
    '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "fdset 0.1.0"}, "capabilities": ["oob"]}}\r\n',
  );
});

test('each message has a pretty form, whose members are in the same order', () => {
  const pretty = { pretty: true };
  assert.equal(encodeReturn(undefined, undefined, pretty), '{\r\n    "return": {\r\n    }\r\n}\r\n');
  assert.equal(encodeReturn(1, 2, pretty), '{\r\n    "return": 1,\r\n    "id": 2\r\n}\r\n');
  assert.equal(
    encodeError('GenericError', 'x', null, pretty),
    '{\r\n    "id": null,\r\n    "error": {\r\n        "class": "GenericError",\r\n        "desc": "x"\r\n    }\r\n}\r\n',
  );
});

test('the time is the time of day, in seconds and microseconds', () => {
  const before = Date.now();
  const { seconds, microseconds } = timestampNow();
  const milliseconds = seconds * 1000 + microseconds / 1000;
  assert.ok(before <= milliseconds && milliseconds <= Date.now());
  assert.ok(Number.isInteger(seconds) && Number.isInteger(microseconds) && microseconds >= 0 && microseconds < 1e6);
});
