// For any value: what is printed is ASCII, JSON.parse and our own reader read it back, and pretty changes only white space.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { JsonDouble, parseJson, writeJson, type JsonOutput, type JsonValue } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'binary-ascii', maxLength: 100 }),
  fc.constantFrom('', 'fd', '\0', '"', '\ufffd'),
);
const canonicalInteger = fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n)).map((value) => {
  const near = Number(value);
  if (!Number.isSafeInteger(near)) return value;
  return near === 0 ? 0 : near;
});
/** A double that reads back as one: what prints without point or exponent becomes an integer. */
const double = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => /[.e]/.test(writeJson(new JsonDouble(value))))
  .map((value) => new JsonDouble(value));
const scalar = fc.oneof(fc.constantFrom(null, true, false), text, canonicalInteger, double);
const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 6 }).map((members) => new Map(members)),
  ),
}));

/** Noncharacters and lone surrogates do not survive. */
function isPrintable(string: string): boolean {
  return Array.from(string).every((character) => {
    const point = character.codePointAt(0) as number;
    return (
      (point & 0xfffe) !== 0xfffe && !(point >= 0xd800 && point <= 0xdfff) && !(point >= 0xfdd0 && point <= 0xfdef)
    );
  });
}

function strings(item: JsonValue): string[] {
  if (typeof item === 'string') return [item];
  if (Array.isArray(item)) return item.flatMap(strings);
  return item instanceof Map ? [...item].flatMap(([name, member]) => [name, ...strings(member)]) : [];
}

/** Maps as plain objects, lists as they are. */
function plain(item: JsonValue): JsonOutput {
  if (Array.isArray(item)) return item.map(plain);
  if (!(item instanceof Map)) return item;
  const object: Record<string, JsonOutput> = Object.create(null) as Record<string, JsonOutput>;
  for (const [name, member] of item) object[name] = plain(member);
  return object;
}

test('what is printed reads back as the same value', () => {
  fc.assert(
    fc.property(value, (item) => {
      fc.pre(strings(item).every(isPrintable));
      const printed = writeJson(item);
      assert.match(printed, /^[ -~]*$/);
      assert.deepEqual(parseJson(printed), item);
      assert.deepEqual(parseJson(writeJson(item, { pretty: true })), item);
      assert.deepEqual(parseJson(writeJson(item, { dense: true })), item);
      JSON.parse(printed);
    }),
    { numRuns: 1500 },
  );
});

test('pretty printing changes white space only', () => {
  fc.assert(
    fc.property(value, (item) => {
      const bare = (printed: string): string => JSON.stringify(JSON.parse(printed));
      assert.equal(bare(writeJson(item, { pretty: true })), bare(writeJson(item)));
    }),
    { numRuns: 500 },
  );
});

test('plain objects print like Maps with the same members', () => {
  fc.assert(
    fc.property(value, (item) => {
      // Names that look like an array index move to the front of a plain object, which shows within a bucket.
      fc.pre(strings(item).every((name) => !/^\d+$/.test(name)));
      assert.equal(writeJson(plain(item)), writeJson(item));
    }),
    { numRuns: 500 },
  );
});
