import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseJson } from '../../src/json/index.ts';
import { encodeRequest, parseRequest, QmpRequestError, type QmpRequest } from '../../src/qmp/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const parse = (text: string, oob = false): QmpRequest => parseRequest(parseJson(text), { oob });

function refusal(text: string, oob = false): QmpRequestError {
  try {
    parse(text, oob);
  } catch (error) {
    assert.ok(error instanceof QmpRequestError);
    return error;
  }
  throw new Error(`accepted: ${text}`);
}

test('a request has a command, and may have arguments and an id', () => {
  const args = new Map([['a', 1]]);
  assert.deepEqual(parse('{"execute": "stop"}'), { command: 'stop', arguments: undefined, oob: false, id: undefined });
  assert.deepEqual(parse('{"id": null, "arguments": {"a": 1}, "execute": "x"}', true), {
    command: 'x',
    arguments: args,
    oob: false,
    id: null,
  });
});

test('exec-oob is a request of its own once it is enabled, and else an unknown member', () => {
  const text = '{"exec-oob": "yank", "arguments": {}, "id": [1]}';
  assert.deepEqual(parse(text, true), { command: 'yank', arguments: new Map(), oob: true, id: [1] });
  assert.equal(refusal(text).message, "QMP input member 'exec-oob' is unexpected");
});

test('anything but an object is refused without an id', () => {
  for (const text of ['null', '[]', '"x"', '1', '1.5', '[{"id": 1}]']) {
    const error = refusal(text);
    assert.equal(error.message, 'QMP input must be a JSON object');
    assert.equal(error.id, undefined);
  }
});

test('a refusal carries the id, where there is one', () => {
  assert.equal(refusal('{"id": 0}').id, 0);
  assert.equal(refusal('{"id": null, "execute": 1}').id, null);
  assert.equal(refusal('{"execute": 1}').id, undefined);
  assert.equal(refusal('{"id": {}, "x": 1}').errorClass, 'GenericError');
});

test('only a refused request that is out of band and nothing else may overtake', () => {
  assert.equal(refusal('{"exec-oob": 1}', true).oob, true);
  assert.equal(refusal('{"exec-oob": "x", "bogus": 1}', true).oob, true);
  assert.equal(refusal('{"exec-oob": "x", "execute": "x"}', true).oob, false);
  assert.equal(refusal('{"id": 1}', true).oob, false);
  assert.equal(refusal('{"exec-oob": "x"}', false).oob, false);
});

test('of two offences the first in the order of the buckets is reported', () => {
  assert.equal(refusal('{"execute": 5, "bogus": 1}').message, "QMP input member 'bogus' is unexpected");
  assert.equal(refusal('{"arguments": 1, "execute": 1}').message, "QMP input member 'execute' must be a string");
  assert.equal(refusal('{"execute": 1, "exec-oob": 1}', true).message, "QMP input member 'exec-oob' must be a string");
});

test('a known member more than the known ones is not overlooked', () => {
  const clash = "QMP input member 'execute' clashes with 'exec-oob'";
  assert.equal(refusal('{"execute": "a", "exec-oob": "b"}', true).message, clash);
  assert.equal(
    refusal('{"execute": "a", "id": 1, "arguments": {}, "x": 1}').message,
    "QMP input member 'x' is unexpected",
  );
  assert.equal(
    refusal('{"execute": "a", "arguments": null}').message,
    "QMP input member 'arguments' must be an object",
  );
});

test('a request is sent without a byte too many, and is the same when read', () => {
  const text = '{"execute":"add-fd","arguments":{"fdset-id":1,"opaque":"x","list":[1,[],{}]},"id":7}';
  const args = { 'fdset-id': 1, opaque: 'x', list: [1, [], {}], left: undefined };
  assert.equal(encodeRequest({ command: 'add-fd', arguments: args, id: 7 }), text);
  assert.equal(encodeRequest({ command: 'stop' }), '{"execute":"stop"}');
  assert.equal(encodeRequest({ command: 'yank', oob: true, id: null }), '{"exec-oob":"yank","id":null}');
  const parsed = parse(text);
  assert.equal(encodeRequest(parsed), text);
});
