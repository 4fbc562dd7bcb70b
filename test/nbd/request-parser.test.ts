import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RequestParser, newRequest } from '../../src/nbd/request-parser.ts';
import { hex } from './hex.ts';

const READ = '25609513 0004 0000 0102030405060708 0000000100000200 00001000';
const WRITE = "25609513 0001 0001 1112131415161718 0000000000000010 00000005 'hello'";

const read = { type: 0, flags: 4, cookieHigh: 0x01020304, cookieLow: 0x05060708, offset: 0x100000200, length: 4096 };
const write = { type: 1, flags: 1, cookieHigh: 0x11121314, cookieLow: 0x15161718, offset: 16, length: 5 };

/** Everything that a client sends, fed in pieces of `size` bytes, with what each request was. */
function parse(bytes: Buffer, size: number): object[] {
  const parser = new RequestParser();
  const found: object[] = [];
  let current: { request: ReturnType<typeof newRequest>; data: Buffer } | undefined;
  for (let at = 0; at < bytes.length; at += size) {
    const lent = Buffer.from(bytes.subarray(at, at + size));
    parser.feed(lent);
    for (;;) {
      if (current === undefined) {
        const request = newRequest();
        if (parser.header(request) !== 'request') break;
        const data = Buffer.alloc(request.type === 1 ? request.length : 0);
        if (request.type === 1) parser.receivePayload(data, request.length);
        current = { request, data };
      }
      if (!parser.payloadComplete()) break;
      const { type, flags, cookieHigh, cookieLow, offset, length } = current.request;
      found.push({ type, flags, cookieHigh, cookieLow, offset, length, data: current.data.toString() });
      current = undefined;
    }
    parser.keepRest();
    lent.fill(0xee); // it was only lent
  }
  return found;
}

test('requests and payloads are found however the bytes are cut', () => {
  const bytes = hex(READ + WRITE + WRITE + READ);
  const expected = [
    { ...read, data: '' },
    { ...write, data: 'hello' },
    { ...write, data: 'hello' },
    { ...read, data: '' },
  ];
  for (let size = 1; size <= bytes.length; size++) assert.deepEqual(parse(bytes, size), expected);
});

test('offsets beyond 2^53 stay beyond the end of every export', () => {
  const parser = new RequestParser();
  const request = newRequest();
  parser.feed(hex('25609513 0000 0000 0000000000000000 ffffffffffffffff ffffffff'));
  assert.equal(parser.header(request), 'request');
  assert.equal(request.offset, 2 ** 64);
  assert.equal(request.length, 0xffffffff);
});

test('a request magic that is wrong is told', () => {
  const parser = new RequestParser();
  parser.feed(hex('25609514 0000 0000 0000000000000000 0000000000000000 00000000'));
  assert.equal(parser.header(newRequest()), 'bad magic');
});

test('a payload can be dropped', () => {
  const parser = new RequestParser();
  const request = newRequest();
  parser.feed(hex(WRITE + READ));
  parser.header(request);
  parser.skipPayload(5);
  assert.equal(parser.payloadComplete(), true);
  assert.equal(parser.header(request), 'request');
  assert.equal(request.length, 4096);
});

test('a payload can be received straight into its memory', () => {
  const parser = new RequestParser();
  const request = newRequest();
  const payload = Buffer.alloc(5);
  parser.feed(hex(WRITE).subarray(0, 30));
  parser.header(request);
  parser.receivePayload(payload, 5);
  assert.equal(parser.payloadComplete(), false);
  parser.keepRest();
  const room = parser.payloadRoom();
  assert.equal(room?.length, 3);
  room.write('LLO');
  parser.payloadReceived(3);
  assert.equal(parser.payloadComplete(), true);
  assert.equal(payload.toString(), 'heLLO');
  assert.equal(parser.payloadRoom(), undefined);
});

test('what was not taken up survives the chunk and comes before the next', () => {
  const parser = new RequestParser();
  const request = newRequest();
  const lent = hex(READ + READ);
  parser.feed(lent);
  parser.header(request);
  parser.keepRest();
  lent.fill(0);
  parser.feed(hex(WRITE));
  assert.equal(parser.header(request), 'request');
  assert.equal(request.length, 4096);
  assert.equal(parser.header(request), 'request');
  assert.equal(request.length, 5);
});
