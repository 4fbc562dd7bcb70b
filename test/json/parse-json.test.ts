import assert from 'node:assert/strict';
import { test } from 'node:test';

import { JsonDouble, JsonParseError, parseJson } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

function refusal(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    assert.ok(error instanceof JsonParseError);
    return error.message;
  }
  return 'none';
}

test('the end of the text ends a number or a word', () => {
  assert.equal(parseJson('12'), 12);
  assert.equal(parseJson('0'), 0);
  assert.equal(parseJson(' true'), true);
  assert.deepEqual(parseJson('1.5'), new JsonDouble(1.5));
  assert.deepEqual(parseJson(Buffer.from("{'a': []} \n")), new Map([['a', []]]));
});

test('what is incomplete, missing or too much is refused', () => {
  assert.equal(refusal('{"a": 1'), 'JSON parse error, premature EOI');
  assert.equal(refusal('[1 2'), 'JSON parse error, expected separator in list');
  assert.equal(refusal('"abc'), `JSON parse error, stray '"abc'`);
  assert.equal(refusal('-'), "JSON parse error, stray '-'");
  assert.equal(refusal(''), 'Expecting a JSON value');
  assert.equal(refusal('1 2'), 'Expecting at most one JSON value');
  assert.equal(refusal('tru'), "JSON parse error, invalid keyword 'tru'");
  assert.equal(refusal('@'), "JSON parse error, stray '@'");
});
