import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type RequestRules, checkRequest } from '../../src/nbd/request-check.ts';
import { newRequest } from '../../src/nbd/request-parser.ts';

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const ZEROES = 6;
const STATUS = 7;
const size = 0x100000;
const all: RequestRules = { size, writable: true, structuredReplies: true, blockStatus: true, alignment: 1 };

function fault(type: number, offset: number, length: number, flags = 0, rules: Partial<RequestRules> = {}) {
  const found = checkRequest({ ...newRequest(), type, offset, length, flags }, { ...all, ...rules });
  if (found !== undefined) assert.equal(found.error, 22, 'QEMU answers EINVAL to everything illegal');
  return found?.text;
}

test('every request within the export is legal, also of nothing and at the end', () => {
  for (const type of [READ, WRITE, FLUSH, TRIM, CACHE, ZEROES]) {
    for (const [offset, length] of [
      [0, 512],
      [0, 0],
      [size - 1, 1],
      [size, 0],
    ] as const) {
      assert.equal(fault(type, offset, length), undefined);
    }
  }
  assert.equal(fault(STATUS, 0, size), undefined);
});

test('requests beyond the end are refused', () => {
  for (const type of [READ, WRITE, FLUSH, TRIM, CACHE, ZEROES, STATUS]) {
    for (const [offset, length] of [
      [size, 1],
      [size - 1, 2],
      [size + 1, 0],
      [2 ** 64, 0],
      [0, size + 1],
    ] as const) {
      assert.equal(fault(type, offset, length), 'operation past the end of the export');
    }
  }
});

test('unknown requests are refused, whatever else is wrong with them', () => {
  for (const type of [2, 8, 9, 255, 0xffff]) assert.equal(fault(type, 2 ** 60, 1, 0xffff), 'unknown request type');
});

test('data of more than 32 MiB is refused, zeroes, trims and block status of any length are not', () => {
  const rules = { size: 2 ** 40 };
  const most = 32 * 1024 * 1024;
  for (const type of [READ, WRITE, CACHE]) {
    assert.equal(fault(type, 0, most, 0, rules), undefined);
    assert.match(fault(type, 0, most + 1, 0, rules) ?? '', /larger than/);
  }
  for (const type of [TRIM, ZEROES, STATUS]) assert.equal(fault(type, 0, 0xffffffff, 0, rules), undefined);
});

test('a read-only export refuses what would change it, even of nothing', () => {
  for (const type of [WRITE, TRIM, ZEROES]) {
    for (const length of [0, 512]) assert.equal(fault(type, 0, length, 0, { writable: false }), 'export is read-only');
  }
  for (const type of [READ, FLUSH, CACHE, STATUS]) assert.equal(fault(type, 0, 512, 0, { writable: false }), undefined);
});

test('each request has its own flags', () => {
  const legal = new Map([
    [READ, 0x05],
    [WRITE, 0x01],
    [FLUSH, 0x01],
    [TRIM, 0x01],
    [CACHE, 0x01],
    [ZEROES, 0x13],
    [STATUS, 0x09],
  ]);
  for (const [type, flags] of legal) {
    for (let bit = 1; bit <= 0x8000; bit <<= 1) {
      assert.equal(fault(type, 0, 512, bit), bit & flags ? undefined : 'unsupported flags', `${type} ${bit}`);
    }
  }
  assert.equal(fault(READ, 0, 512, 4, { structuredReplies: false }), 'unsupported flags');
});

test('negotiated block sizes are held', () => {
  const rules = { alignment: 512 };
  assert.equal(fault(READ, 512, 1024, 0, rules), undefined);
  assert.match(fault(READ, 511, 512, 0, rules) ?? '', /block size/);
  assert.match(fault(WRITE, 512, 511, 0, rules) ?? '', /block size/);
  assert.equal(fault(FLUSH, 1, 1, 0, rules), undefined);
});

test('block status needs a context and something to tell of', () => {
  assert.equal(fault(STATUS, 0, 512, 0, { blockStatus: false }), 'no metadata context was negotiated');
  assert.equal(fault(STATUS, 0, 0), 'block status of nothing');
});
