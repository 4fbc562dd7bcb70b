// For any bytes and any chunking the streamer gives what the model in test/json/model.ts gives, at the same offsets.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { DEFAULT_JSON_LIMITS, JsonParseError, JsonStreamer, type JsonLimits } from '../../src/json/index.ts';
import { model, type Outcome } from '../json/model.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

/** Feeds chunks of the given lengths (over and over), each from memory that is overwritten afterwards. */
function stream(bytes: Uint8Array, lengths: readonly number[], limits: JsonLimits): Outcome[] {
  const outcomes: Outcome[] = [];
  const streamer = new JsonStreamer((value, end) => {
    outcomes.push([end, value instanceof JsonParseError ? { error: value.message } : { value }]);
  }, limits);
  let round = 0;
  for (let at = 0; at < bytes.length; round++) {
    const chunk = Buffer.from(bytes.subarray(at, at + (lengths[round % lengths.length] ?? bytes.length)));
    at += chunk.length;
    streamer.push(chunk);
    chunk.fill(0x58);
  }
  return outcomes;
}

const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 });

/** Pieces of which most texts are nearly JSON. */
const pieces = [
  Array.from('{}[],:"\'\\ \n\t-+.eE0123456789abtrue@'),
  ['{"a":', '"a"', "'b'", '"b":1', 'true', 'false', 'null', 'nul', '"execute"', '"é€😀"', '"\\u0061"'],
  ['"\\', '\\n', '\\q', '\\u00', '\\u', '\\ud83d', '\\ude00', '\\ufffe', '\x7f', '\0', '\x01'],
  [
    '12345678901234567890',
    '9007199254740993',
    '-9223372036854775808',
    '18446744073709551616',
    '-0',
    '1.5',
    '1e5',
    '0e1',
  ],
  ['[[', ']]', '},', '{}', '[]'],
].flatMap((texts) => texts.map((text) => Buffer.from(text)));
const oddBytes = ['ff', 'fe', 'c080', 'c3', 'a9', 'eda080', 'efbfbf', 'f09f98', 'f4908080', 'f888808080', 'fd'];
const anyPiece = fc.constantFrom(...pieces, ...oddBytes.map((hex) => Buffer.from(hex, 'hex')));
const nearlyJson = fc.array(anyPiece, { maxLength: 30 }).map((some) => Buffer.concat(some));
const json = fc.json({ maxDepth: 4 }).map((text) => Buffer.from(`${text}\n`));
const anyBytes = fc.uint8Array({ maxLength: 60 }).map((some) => Buffer.from(some));
/** Valid JSON with a few bytes changed. */
const damaged = fc
  .tuple(json, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }))
  .map(([bytes, changes]) => {
    const copy = Buffer.from(bytes);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return copy;
  });
const streams = fc
  .array(fc.oneof(nearlyJson, json, damaged, anyBytes), { minLength: 1, maxLength: 3 })
  .map((some) => Buffer.concat(some));

test('any bytes in any chunks give the values and errors of the model at its offsets', () => {
  const property = fc.property(streams, lengths, (bytes, chunks) => {
    assert.deepEqual(stream(bytes, chunks, DEFAULT_JSON_LIMITS), model(bytes, DEFAULT_JSON_LIMITS));
  });
  fc.assert(property, { numRuns: 3000 });
});

test('limits act at the same byte in any chunks', () => {
  const limits = fc.record({
    maxNesting: fc.integer({ min: 1, max: 4 }),
    maxTokenBytes: fc.integer({ min: 2, max: 24 }),
    maxTokens: fc.integer({ min: 1, max: 10 }),
  });
  const property = fc.property(streams, lengths, limits, (bytes, chunks, some) => {
    assert.deepEqual(stream(bytes, chunks, some), model(bytes, some));
  });
  fc.assert(property, { numRuns: 3000 });
});
