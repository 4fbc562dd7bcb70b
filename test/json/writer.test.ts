import assert from 'node:assert/strict';
import { test } from 'node:test';

import { composeJson, JsonDouble, writeJson, type JsonOutput } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('members come in the order of their buckets, whatever the order given', () => {
  assert.equal(writeJson({ opaque: 'x', fd: 3 }), '{"fd": 3, "opaque": "x"}');
  assert.equal(writeJson({ 'fdset-id': 1, fds: [] }), '{"fds": [], "fdset-id": 1}');
  assert.equal(writeJson({ data: {}, event: 'E', timestamp: 1 }), '{"timestamp": 1, "event": "E", "data": {}}');
  const map = new Map([
    ['z', 1],
    ['a', 2],
    ['m', 3],
  ]);
  assert.equal(writeJson(map), '{"a": 2, "z": 1, "m": 3}');
});

test('of members in one bucket the last one given comes first', () => {
  assert.equal(writeJson({ major: 10, minor: 0, micro: 2 }), '{"micro": 2, "minor": 0, "major": 10}');
  assert.equal(writeJson({ micro: 2, minor: 0, major: 10 }), '{"minor": 0, "micro": 2, "major": 10}');
});

test('undefined members are left out, in every shape that makes', () => {
  const print = (a?: number, b?: number, c?: number): string => writeJson({ a, b, c });
  assert.equal(print(), '{}');
  assert.equal(print(1), '{"a": 1}');
  assert.equal(print(undefined, 2), '{"b": 2}');
  assert.equal(print(undefined, 2, 3), '{"b": 2, "c": 3}');
  assert.equal(print(1, 2, 3), '{"a": 1, "b": 2, "c": 3}');
});

test('a Map and a plain object with the same members print alike', () => {
  const names = ['device', 'file', 'node-name', '', 'é', 'a\0b', '0', 'x'.repeat(300), 'driver'];
  const object = Object.fromEntries(names.map((name, i) => [name, i]));
  assert.equal(writeJson(object), writeJson(new Map(Object.entries(object))));
});

test('integers print as such over all 64 bits, whether number or bigint', () => {
  for (const [value, text] of [
    [0, '0'],
    [-0, '0'],
    [-1, '-1'],
    [9, '9'],
    [10, '10'],
    [99, '99'],
    [1000000000, '1000000000'],
    [2 ** 31 - 1, '2147483647'],
    [2 ** 31, '2147483648'],
    [-(2 ** 31), '-2147483648'],
    [25000000000, '25000000000'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [2 ** 60, '1152921504606846976'],
    [18446744073709551615n, '18446744073709551615'],
    [-9223372036854775808n, '-9223372036854775808'],
    [2 ** 64, '1.8446744073709552e+19'],
  ] as const) {
    assert.equal(writeJson(value), text);
    assert.equal(writeJson([value]), `[${text}]`);
  }
});

test('doubles print as %.17g, also where their value is an integer', () => {
  assert.equal(writeJson(new JsonDouble(1000)), '1000');
  assert.equal(
    writeJson([0.1, new JsonDouble(1e22), new JsonDouble(-0), Infinity]),
    '[0.10000000000000001, 1e+22, -0, inf]',
  );
});

test("strings are ASCII with QEMU's escapes", () => {
  assert.equal(writeJson('"\\/\b\f\n\r\t\'<&>%'), String.raw`"\"\\/\b\f\n\r\t'<&>%"`);
  assert.equal(
    writeJson('\0\x01\x1f\x7f\x80é€😀'),
    String.raw`"\u0000\u0001\u001F\u007F\u0080\u00E9\u20AC\uD83D\uDE00"`,
  );
  assert.equal(writeJson({ 'a"é': 1 }), String.raw`{"a\"\u00E9": 1}`);
});

test('what is no character prints as U+FFFD', () => {
  assert.equal(writeJson('a\ud800b\udc00'), String.raw`"a\uFFFDb\uFFFD"`);
  assert.equal(writeJson('\ufffe\ufdd0\u{1ffff}!'), String.raw`"\uFFFD\uFFFD\uFFFD!"`);
});

test('long strings print like short ones', () => {
  const plain = 'x'.repeat(100_000);
  assert.equal(writeJson(plain), `"${plain}"`);
  assert.equal(writeJson(`${plain}\n${plain}`), `"${plain}\\n${plain}"`);
  assert.equal(writeJson('😀'.repeat(50_000)), `"${'\\uD83D\\uDE00'.repeat(50_000)}"`);
});

test('pretty printing takes 4 spaces per level and CR LF, and two lines for what is empty', () => {
  const value: JsonOutput = { return: [{ a: 1, b: 'x' }, [], {}, null], id: new Map([['k', new JsonDouble(0.5)]]) };
  const text = `{
    "return": [
        {
            "a": 1,
            "b": "x"
        },
        [
        ],
        {
        },
        null
    ],
    "id": {
        "k": 0.5
    }
}`;
  assert.equal(writeJson(value, { pretty: true }), text.replaceAll('\n', '\r\n'));
  assert.equal(writeJson([], { pretty: true }), '[\r\n]');
  assert.equal(writeJson({ a: undefined }, { pretty: true }), '{\r\n}');
  assert.equal(writeJson(7, { pretty: true }), '7');
});

test('scalars print alone', () => {
  assert.deepEqual(
    [null, true, false, 'x', 12, 1.5].map((value) => writeJson(value)),
    ['null', 'true', 'false', '"x"', '12', '1.5'],
  );
});

test('what has no JSON is refused, and leaves nothing behind in the next text', () => {
  assert.throws(() => writeJson([1, (() => 1) as unknown as JsonOutput]), TypeError);
  assert.throws(() => writeJson({ a: 1n << 64n }), RangeError);
  assert.throws(() => writeJson({ a: -(1n << 63n) - 1n }), RangeError);
  assert.equal(writeJson([1]), '[1]');
});

test('a getter in a value may print, too', () => {
  const value = {
    get inner(): string {
      return writeJson(['in', 'between']);
    },
  };
  assert.equal(writeJson([1, value, 2]), String.raw`[1, {"inner": "[\"in\", \"between\"]"}, 2]`);
});

test('pieces and values are composed to one text', () => {
  const text = composeJson((writer) => {
    writer.ascii('{"x": ');
    writer.value(['é']);
    writer.ascii('}');
  });
  assert.equal(text, '{"x": ["\\u00E9"]}');
});

test('objects of many shapes print right beyond what is remembered', () => {
  for (let i = 0; i < 5000; i++) assert.equal(writeJson({ [`name-${i}`]: i }), `{"name-${i}": ${i}}`);
  for (let i = 0; i < 50; i++) assert.equal(writeJson({ a: 0, [`n${i}`]: i }).length, `{"a": 0, "n${i}": ${i}}`.length);
});
