import assert from 'node:assert/strict';
import { test } from 'node:test';

import { JsonDouble, JsonParseError, JsonStreamer, type JsonLimits, type JsonValue } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

type Outcome = [end: number, result: JsonValue];

/** What comes of some writes; an error stands as `! text`. */
function outcomes(writes: (string | Uint8Array)[], limits?: Partial<JsonLimits>): Outcome[] {
  const all: Outcome[] = [];
  const streamer = new JsonStreamer((value, end) => {
    all.push([end, value instanceof JsonParseError ? `! ${value.message}` : value]);
  }, limits);
  for (const write of writes) streamer.push(typeof write === 'string' ? Buffer.from(write) : write);
  return all;
}

/** The one value of a text. */
function value(text: string | Uint8Array): JsonValue {
  const all = outcomes([text, ' ']);
  assert.equal(all.length, 1);
  return (all[0] as Outcome)[1];
}

const parseError = (text: string): string => `! JSON parse error, ${text}`;

test('a request becomes a Map with its members in the order sent', () => {
  const request = value('{"execute":"add-fd","arguments":{"fdset-id":1,"opaque":"x"},"id":1234}');
  const args = new Map<string, JsonValue>([
    ['fdset-id', 1],
    ['opaque', 'x'],
  ]);
  const expected: [string, JsonValue][] = [
    ['execute', 'add-fd'],
    ['arguments', args],
    ['id', 1234],
  ];
  assert.ok(request instanceof Map);
  assert.deepEqual([...request], expected);
});

test('the offset of a value is just behind its last byte', () => {
  assert.deepEqual(outcomes(['{} []"a"', "'b' 12 true,{"]), [
    [2, new Map()],
    [5, []],
    [8, 'a'],
    [11, 'b'],
    [14, 12],
    [19, true],
    [20, parseError('expecting value')],
  ]);
});

test('the offset of an error is behind the byte that showed it', () => {
  assert.deepEqual(outcomes(['[1, @ junk', ' ]\n{"a" 1}']), [
    [5, parseError("stray '@'")],
    [12, parseError('expecting value')],
    [20, parseError('missing : in object pair')],
  ]);
});

test('a number or a word ends only at the first byte behind it, and its offset does not count that', () => {
  assert.deepEqual(outcomes(['12']), []);
  assert.deepEqual(outcomes(['12', '34', '\n']), [[4, 1234]]);
  assert.deepEqual(outcomes(['nul', '{}']), [
    [3, parseError("invalid keyword 'nul'")],
    [5, new Map()],
  ]);
});

test('braces and brackets are counted apart', () => {
  assert.deepEqual(outcomes(['{]']), [[2, parseError('expecting value')]]);
  assert.deepEqual(outcomes(['{"a": [}']), []);
  assert.deepEqual(outcomes(['{"a": [}]}']), [
    [9, parseError('expecting value')],
    [10, parseError('expecting value')],
  ]);
});

test('a byte-order mark is an error, and the value behind it is read', () => {
  assert.deepEqual(outcomes([Buffer.from('efbbbf5b5d', 'hex')]), [
    [1, parseError("stray '\ufffd'")],
    [5, []],
  ]);
});

test('a lexical error drops what was open, a syntax error in it included, and skips to the next control character', () => {
  assert.deepEqual(outcomes(['[1 2 \x01', '3\n4 ']), [
    [6, parseError("stray '\x01'")],
    [9, 4],
  ]);
});

test('the first syntax error of a value is the one reported', () => {
  assert.deepEqual(value('{"a": tru, "b" 1, "\\x"}'), parseError("invalid keyword 'tru'"));
  assert.deepEqual(value('["a" "\\x"]'), parseError('expected separator in list'));
  assert.deepEqual(value('{"a": 1, "a": nope}'), parseError("invalid keyword 'nope'"));
  assert.deepEqual(value('{[1 2]: 1}'), parseError('expected separator in list'));
});

test('integers are exact over int64 and uint64, and doubles beyond', () => {
  assert.equal(value('9007199254740991'), Number.MAX_SAFE_INTEGER);
  assert.equal(value('9007199254740992'), 9007199254740992n);
  assert.equal(value('-9223372036854775808'), -9223372036854775808n);
  assert.equal(value('18446744073709551615'), 18446744073709551615n);
  assert.deepEqual(value('18446744073709551616'), new JsonDouble(2 ** 64));
  assert.deepEqual(value('-9223372036854775809'), new JsonDouble(-(2 ** 63)));
  assert.ok(Object.is(value('-0'), 0));
});

test('what has a point or an exponent is never an integer', () => {
  assert.deepEqual(value('1.0'), new JsonDouble(1));
  assert.deepEqual(value('10e1'), new JsonDouble(100));
  assert.deepEqual(value('-0.0'), new JsonDouble(-0));
  assert.deepEqual(value('1e400'), new JsonDouble(Infinity));
});

test('either quote makes a string in which the other needs no escape', () => {
  assert.equal(value(`'a"b\\'c'`), `a"b'c`);
  assert.equal(value(`"a'b\\"c\\'"`), `a'b"c'`);
});

test('U+0000 comes as an escape and as C0 80', () => {
  assert.equal(value('"a\\u0000b"'), 'a\0b');
  assert.equal(value(Buffer.from('2261c0806222', 'hex')), 'a\0b');
});

test('a bad \\u is shown up to its sixth byte or the end of the token', () => {
  assert.equal(value('"\\u12"'), parseError('\\u12" is not a valid Unicode character'));
  assert.equal(value('"\\uxyz"'), parseError('\\uxyz" is not a valid Unicode character'));
  assert.equal(value('"\\ug123456"'), parseError('\\ug123 is not a valid Unicode character'));
  assert.equal(value('"\\ud800\\u12"'), parseError('\\ud800 is not a valid Unicode character'));
  assert.equal(value('"\\udbff\\udffe"'), parseError('\\udbff\\udffe is not a valid Unicode character'));
});

test('bytes are not kept: a chunk may be overwritten once push has returned', () => {
  const all: unknown[] = [];
  const streamer = new JsonStreamer((result) => all.push(result));
  for (const text of ['["long enough not to be int', 'erned, and cut", "short', '"]']) {
    const chunk = Buffer.from(text);
    streamer.push(chunk);
    chunk.fill(0);
  }
  assert.deepEqual(all, [['long enough not to be interned, and cut', 'short']]);
});

test('strings of the same hash are told apart', () => {
  // "Aa" and "BB" have equal hashes, so they share a slot of the cache of short strings.
  assert.deepEqual(value('["Aa", "BB", "Aa", "BB"]'), ['Aa', 'BB', 'Aa', 'BB']);
});

test('a token in many chunks is one token, and takes no quadratic time', () => {
  const text = '\u{1f600}x'.repeat(200_000);
  const bytes = Buffer.from(`"${text}"`);
  const chunks = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(7 * i, 7 * i + 7));
  assert.deepEqual(outcomes(chunks), [[bytes.length, text]]);
});

test('a handler may reset the streamer, which drops the rest of the bytes and counts anew', () => {
  const all: Outcome[] = [];
  const streamer = new JsonStreamer((result, end) => {
    all.push([end, result instanceof JsonParseError ? result.message : result]);
    streamer.reset();
  });
  for (const text of ['[] [1', ' 2 3', '"x" "y', '@ {', '"']) streamer.push(Buffer.from(text));
  assert.deepEqual(all, [
    [2, []],
    [2, 2],
    [3, 'x'],
    [1, "JSON parse error, stray '@'"],
  ]);
});

test('what a handler throws comes out of push, and after a reset all is as new', () => {
  let calls = 0;
  const streamer = new JsonStreamer((result, end) => {
    if (++calls === 1) throw new Error('refused');
    assert.deepEqual([result, end], ['b', 3]);
  });
  assert.throws(() => streamer.push(Buffer.from('[1, 2] [')), /refused/);
  streamer.reset();
  streamer.push(Buffer.from('"b"'));
  assert.equal(calls, 2);
});

test('reset forgets an open value, a token that was cut, and a recovery', () => {
  for (const begun of ['{"a": [1, "b', '[12', '@ skipped ']) {
    const all: Outcome[] = [];
    const streamer = new JsonStreamer((result, end) => all.push([end, result as JsonValue]));
    streamer.push(Buffer.from(begun));
    all.length = 0;
    streamer.reset();
    streamer.push(Buffer.from('7 '));
    assert.deepEqual(all, [[1, 7]]);
  }
});

test('nesting of 1024 is accepted; the 1025th opening is the error and nothing of it remains', () => {
  const deep = '['.repeat(1024);
  assert.equal(outcomes([deep, ']'.repeat(1024)]).length, 1);
  assert.deepEqual(outcomes([deep, '[', '[]']), [
    [1025, '! JSON nesting depth limit exceeded'],
    [1027, []],
  ]);
});

test('opening brackets without end give an error per 1025 of them and take no memory', () => {
  const chunk = Buffer.alloc(1 << 20, '[');
  const ends: number[] = [];
  const streamer = new JsonStreamer((_, end) => ends.push(end));
  for (let i = 0; i < 16; i++) streamer.push(chunk);
  assert.deepEqual(
    ends,
    Array.from({ length: Math.floor((16 << 20) / 1025) }, (_, i) => 1025 * (i + 1)),
  );
});

test('2097152 tokens are accepted, one more is not', () => {
  const elements = (count: number): string => `[${'1,'.repeat(count - 1)}1]`;
  const [fine] = outcomes([elements(2 ** 20 - 1), '1 ']) as [Outcome];
  assert.equal((fine[1] as JsonValue[]).length, 2 ** 20 - 1);
  const [over] = outcomes([elements(2 ** 20)]) as [Outcome];
  // [, 2^20 ones and 2^20 - 1 commas are 2^21 tokens; the closing bracket is too many.
  assert.deepEqual(over, [2 ** 21 + 1, '! JSON token count limit exceeded']);
});

test('a string token of 64 MiB - 1 is accepted, one of 64 MiB is not', () => {
  const chunk = Buffer.alloc(1 << 20, 'x');
  const push = (length: number): Outcome[] => {
    const all: Outcome[] = [];
    const streamer = new JsonStreamer((result, end) => {
      all.push([end, result instanceof JsonParseError ? result.message : (result as string).length]);
    });
    streamer.push(Buffer.from('"'));
    for (let left = length - 2; left > 0; left -= chunk.length) streamer.push(chunk.subarray(0, left));
    streamer.push(Buffer.from('"'));
    return all;
  };
  assert.deepEqual(push((64 << 20) - 1), [[(64 << 20) - 1, (64 << 20) - 3]]);
  assert.deepEqual(push(64 << 20), [[64 << 20, 'JSON token size limit exceeded']]);
});

test('a string that does not end is given up one byte past the limit, and parsing starts afresh', () => {
  const limits = { maxTokenBytes: 8 };
  assert.deepEqual(outcomes(['"1234567890'], limits), [[9, '! JSON token size limit exceeded']]);
  assert.deepEqual(outcomes(['"123', '4567', '[]'], limits), [
    [9, '! JSON token size limit exceeded'],
    [10, parseError('expecting value')],
  ]);
});

test('the lengths of all tokens of a value count, white space does not', () => {
  const limits = { maxTokenBytes: 8 };
  assert.deepEqual(outcomes(['["a"     ,  1]'], limits), [[14, ['a', 1]]]);
  assert.deepEqual(outcomes(['["ab",  1]'], limits), [[10, '! JSON token size limit exceeded']]);
});

test('a peer that sends nothing but errors gets one for each, without a stack', () => {
  const errors: JsonParseError[] = [];
  const streamer = new JsonStreamer((error) => errors.push(error as JsonParseError));
  const before = Error.stackTraceLimit;
  streamer.push(Buffer.alloc(10_000, '}'));
  assert.equal(errors.length, 10_000);
  assert.equal(errors[0]?.stack, 'JsonParseError: JSON parse error, expecting value');
  assert.equal(errors[0]?.code, 'ERR_FDSET_JSON');
  assert.equal(Error.stackTraceLimit, before);
});
