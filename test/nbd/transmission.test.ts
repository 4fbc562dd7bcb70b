import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { SystemError } from '../../src/addon/index.ts';
import { BufferPool } from '../../src/nbd/buffer-pool.ts';
import { requestFailed } from '../../src/nbd/index.ts';
import type { RequestRules } from '../../src/nbd/request-check.ts';
import { Transmission } from '../../src/nbd/transmission.ts';
import { hex } from './hex.ts';
import { MemoryDisk } from './memory-disk.ts';
import { deferred } from './serve.ts';

const COOKIE = '1111111122222222';
const REQUEST = '25609513';
const SIMPLE = '67446698';
const CHUNK = '668e33ef';

/** A transmission without a socket. What it sends counts as sent at once, unless the test holds it back. */
class Harness {
  readonly disk: MemoryDisk;
  readonly pool = new BufferPool(1 << 26);
  readonly transmission: Transmission;
  readonly events: string[] = [];
  sent = Buffer.alloc(0);
  inFlight = 0;
  holdBack: (() => void)[] | undefined;

  constructor(rules: Partial<RequestRules> = {}, limits = { maxRequests: 64, maxBytes: 64 << 20 }, size = 1 << 20) {
    this.disk = new MemoryDisk(size);
    const target = {
      name: 'x',
      backend: this.disk,
      requestStarted: () => void this.inFlight++,
      requestEnded: () => void this.inFlight--,
    };
    const wire = {
      send: (pieces: readonly Uint8Array[], sent: () => void) => {
        this.sent = Buffer.concat([this.sent, ...pieces]);
        if (this.holdBack === undefined) process.nextTick(sent);
        else this.holdBack.push(sent);
      },
      pause: () => void this.events.push('pause'),
      resume: () => void this.events.push('resume'),
      finish: (reason: string) => void this.events.push(`finish: ${reason}`),
      abort: (reason: string) => void this.events.push(`abort: ${reason}`),
      settled: () => void this.events.push('settled'),
    };
    const defaults = { size, writable: true, structuredReplies: false, blockStatus: false, alignment: 1 };
    this.transmission = new Transmission(target, { ...defaults, ...rules }, wire, limits, this.pool);
  }

  receive(text: string | Buffer): void {
    this.transmission.receive(typeof text === 'string' ? hex(text) : text);
  }

  /** What has been sent since the last call. */
  async answer(): Promise<string> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    const sent = this.sent.toString('hex');
    this.sent = Buffer.alloc(0);
    return sent;
  }

  async expect(expected: string): Promise<void> {
    assert.equal(await this.answer(), hex(expected).toString('hex'));
  }
}

const structured = { structuredReplies: true, blockStatus: true };

function request(type: number, flags: number, offset: number, length: number, data = ''): string {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(type, 6);
  header.write(COOKIE, 8, 'hex');
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header.toString('hex') + data;
}

suite('simple replies', () => {
  test('WRITE with FUA, then READ', async () => {
    const harness = new Harness();
    harness.receive(`${REQUEST} 0001 0001 ${COOKIE} 0000000000000010 00000005 'hello'`);
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`);
    assert.deepEqual(harness.disk.calls, [{ call: 'write', offset: 16, length: 5, options: { fua: true } }]);
    assert.equal(harness.pool.kept, 4096 + 65536, 'the payload is back, and the memory of the reply');
    harness.receive(`${REQUEST} 0000 0000 ${COOKIE} 000000000000000f 00000007`);
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE} 00 'hello' 00`);
  });

  test('FLUSH, TRIM, WRITE_ZEROES and CACHE answer with a header alone', async () => {
    const harness = new Harness();
    harness.receive(request(3, 0, 0, 0) + request(4, 1, 0, 512) + request(6, 0x13, 512, 512) + request(5, 0, 0, 512));
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`.repeat(4));
    assert.deepEqual(harness.disk.calls, [
      { call: 'flush', offset: 0, length: 0 },
      { call: 'discard', offset: 0, length: 512, options: { fua: true } },
      { call: 'writeZeroes', offset: 512, length: 512, options: { fua: true, mayUnmap: false, fast: true } },
    ]);
  });

  test('requests for nothing succeed without asking the disk', async () => {
    const harness = new Harness();
    for (const type of [0, 1, 4, 5, 6]) harness.receive(request(type, 0, 512, 0));
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`.repeat(5));
    assert.deepEqual(harness.disk.calls, []);
  });

  test('an illegal request is EINVAL and the next one is served', async () => {
    const harness = new Harness();
    harness.receive(request(0, 0, 1 << 20, 1) + request(99, 0, 0, 0) + request(0, 0, 0, 1));
    await harness.expect(`${SIMPLE} 00000016 ${COOKIE}`.repeat(2) + `${SIMPLE} 00000000 ${COOKIE} 00`);
  });

  test("a refused WRITE's payload is dropped", async () => {
    const harness = new Harness({ writable: false });
    harness.receive(request(1, 0, 0, 5, '68656c6c6f') + request(0, 0, 0, 2));
    await harness.expect(`${SIMPLE} 00000016 ${COOKIE} ${SIMPLE} 00000000 ${COOKIE} 0000`);
    assert.equal(harness.disk.calls.length, 1);
  });

  test('a WRITE of more than 32 MiB is refused when its payload has been dropped', async () => {
    const harness = new Harness();
    const length = 33 << 20;
    harness.receive(request(1, 0, 0, length));
    const chunk = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < 32; sent++) harness.receive(chunk);
    await harness.expect('');
    harness.receive(chunk);
    harness.receive(request(0, 0, 0, 1));
    await harness.expect(`${SIMPLE} 00000016 ${COOKIE} ${SIMPLE} 00000000 ${COOKIE} 00`);
  });

  test('behind a WRITE of more than 64 MiB the connection is closed', async () => {
    const harness = new Harness();
    harness.receive(request(1, 0, 0, 0xffffffff));
    await harness.expect(`${SIMPLE} 00000016 ${COOKIE}`);
    assert.deepEqual(harness.events, ['finish: client disconnected']);
  });

  test('a bad magic ends the connection', async () => {
    const harness = new Harness();
    harness.receive(request(0, 0, 0, 1) + '00'.repeat(28));
    assert.deepEqual(harness.events, ['abort: invalid request magic']);
  });
});

suite('structured replies', () => {
  test('a READ is one chunk with DONE', async () => {
    const harness = new Harness(structured);
    harness.receive(request(0, 0, 256, 4));
    await harness.expect(`${CHUNK} 0001 0001 ${COOKIE} 0000000c 0000000000000100 00000000`);
  });

  test('a READ of nothing is a chunk of type NONE', async () => {
    const harness = new Harness(structured);
    harness.receive(request(0, 0, 256, 0));
    await harness.expect(`${CHUNK} 0001 0000 ${COOKIE} 00000000`);
  });

  test('success of other requests is a simple reply, an error is a chunk with a text', async () => {
    const harness = new Harness(structured);
    harness.receive(request(3, 0, 0, 0));
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`);
    harness.receive(request(4, 0x10, 0, 512));
    const text = "0011 'unsupported flags'";
    await harness.expect(`${CHUNK} 0001 8001 ${COOKIE} 00000017 00000016 ${text}`);
  });

  test('BLOCK_STATUS tells the extents of base:allocation', async () => {
    const harness = new Harness(structured);
    await harness.disk.write(4096, Buffer.alloc(4096), { fua: false });
    harness.receive(request(7, 0, 0, 16384) + request(7, 8, 512, 16384));
    await harness.expect(
      `${CHUNK} 0001 0005 ${COOKIE} 0000001c 00000000 00001000 00000003 00001000 00000000 00002000 00000003` +
        `${CHUNK} 0001 0005 ${COOKIE} 0000000c 00000000 00000e00 00000003`,
    );
  });

  test('a long READ tells holes as holes and the data in pieces', async () => {
    const harness = new Harness(structured);
    await harness.disk.write(0, Buffer.alloc(4096, 0x61), { fua: false });
    harness.receive(request(0, 0, 0, 512 << 10));
    const data = `${CHUNK} 0000 0001 ${COOKIE} 00001008 0000000000000000 ${'61'.repeat(4096)}`;
    const hole = `${CHUNK} 0001 0002 ${COOKIE} 0000000c 0000000000001000 0007f000`;
    const answer = await harness.answer();
    // Either may come first; the one that comes last says DONE.
    const orders = [data + hole, hole.replace('0001', '0000') + data.replace('0000', '0001')];
    assert.ok(orders.map((order) => hex(order).toString('hex')).includes(answer));
  });

  test('with DF a long READ is one chunk', async () => {
    const harness = new Harness(structured);
    harness.receive(request(0, 4, 0, 512 << 10));
    const answer = await harness.answer();
    assert.equal(answer.slice(0, 56), hex(`${CHUNK} 0001 0001 ${COOKIE} 00080008 0000000000000000`).toString('hex'));
    assert.equal(answer.length, 2 * (28 + (512 << 10)));
  });

  test('a long READ that fails in one place names the place', async () => {
    const harness = new Harness(structured);
    await harness.disk.write(0, Buffer.alloc(512 << 10, 0x61), { fua: false });
    harness.disk.before = ({ call, offset }) => {
      if (call === 'read' && offset === 256 << 10) throw new SystemError(5, 'pread');
    };
    harness.receive(request(0, 0, 0, 512 << 10));
    const answer = await harness.answer();
    const error = `8002 ${COOKIE} 00000020 00000005 0012 'Input/output error' 0000000000040000`;
    assert.ok(answer.includes(hex(error).toString('hex')));
    assert.equal(answer.match(new RegExp(`${CHUNK}0001`, 'g'))?.length, 1, 'one chunk is the last');
  });

  test('where the allocation is not to be had everything is read', async () => {
    const harness = new Harness(structured);
    harness.disk.before = ({ call }) => {
      if (call === 'blockStatus') throw new SystemError(5, 'lseek');
    };
    harness.receive(request(0, 0, 0, 512 << 10) + request(7, 0, 0, 512));
    const answer = await harness.answer();
    assert.ok(answer.includes(hex(`8001 ${COOKIE} 00000018 00000005 0012 'Input/output error'`).toString('hex')));
    assert.equal(answer.match(new RegExp(`${CHUNK}000[01]0001`, 'g'))?.length, 2);
  });
});

suite('a disk that fails', () => {
  for (const [errno, nbd] of [
    [5, '00000005'],
    [28, '0000001c'],
    [122, '0000001c'],
    [30, '00000001'],
    [12, '0000000c'],
    [95, '0000005f'],
  ] as const) {
    test(`errno ${errno} reaches the client as ${Number(`0x${nbd}`)}, for every request`, async () => {
      const harness = new Harness();
      harness.disk.before = () => {
        throw new SystemError(errno, 'test');
      };
      const requests = [0, 1, 4, 6].map((type) => request(type, 0, 0, 4, type === 1 ? '61626364' : ''));
      harness.receive(requests.join('') + request(3, 0, 0, 0));
      await harness.expect(`${SIMPLE} ${nbd} ${COOKIE}`.repeat(5));
      assert.equal(harness.inFlight, 0);
    });
  }

  test('a fault of our own is EIO, tells the client nothing and is published', async () => {
    const harness = new Harness(structured);
    harness.disk.before = () => {
      throw new TypeError('secret is not a function');
    };
    const published: unknown[] = [];
    const listener = (message: unknown) => void published.push(message);
    requestFailed.subscribe(listener);
    harness.receive(request(3, 0, 0, 0));
    await harness.expect(`${CHUNK} 0001 8001 ${COOKIE} 00000014 00000005 000e 'internal error'`);
    requestFailed.unsubscribe(listener);
    assert.equal(published.length, 1);
    assert.match(String((published[0] as { error: unknown }).error), /secret/);
  });

  test('a slow request does not stop the others: replies come as they are ready', async () => {
    const harness = new Harness();
    const slow = deferred();
    harness.disk.before = ({ call }) => (call === 'flush' ? slow.promise : undefined);
    harness.receive(request(3, 0, 0, 0) + request(0, 0, 0, 1));
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE} 00`);
    assert.equal(harness.inFlight, 1);
    slow.resolve();
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`);
  });

  test('fast zeroes that would be slow are ENOTSUP', async () => {
    const harness = new Harness();
    harness.disk.slowZeroes = true;
    harness.receive(request(6, 0x10, 0, 512) + request(6, 0, 0, 512));
    await harness.expect(`${SIMPLE} 0000005f ${COOKIE} ${SIMPLE} 00000000 ${COOKIE}`);
  });
});

suite('disconnect', () => {
  test('DISC closes once all requests are answered, and what follows it is ignored', async () => {
    const harness = new Harness();
    const slow = deferred();
    harness.disk.before = () => slow.promise;
    harness.receive(request(0, 0, 0, 1) + request(2, 0, 0, 0) + request(0, 0, 0, 1));
    harness.receive(request(0, 0, 0, 1));
    await harness.expect('');
    assert.deepEqual(harness.events, []);
    slow.resolve();
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE} 00`);
    assert.deepEqual(harness.events, ['finish: client disconnected']);
  });

  test('after a close nothing is sent and nothing is received', async () => {
    const harness = new Harness();
    const slow = deferred();
    harness.disk.before = () => slow.promise;
    harness.receive(request(0, 0, 0, 8192));
    harness.transmission.close();
    harness.receive(request(0, 0, 0, 1));
    assert.deepEqual([harness.transmission.busy, harness.events], [true, []]);
    slow.resolve();
    await harness.expect('');
    assert.equal(harness.disk.calls.length, 1);
    assert.deepEqual([harness.transmission.busy, harness.events], [false, ['settled']]);
    assert.equal(harness.inFlight, 0);
    assert.ok(harness.pool.kept >= 8192, 'the buffer came back');
  });

  test('a payload that does not come whole is never written', async () => {
    const harness = new Harness();
    harness.receive(request(1, 0, 0, 4, '616263'));
    await harness.expect('');
    harness.transmission.close();
    assert.deepEqual(harness.disk.calls, []);
    assert.equal(harness.pool.kept, 4096);
  });
});

suite('bounds', () => {
  test('no more requests are taken up than there are slots, and the rest waits unread', async () => {
    const harness = new Harness({}, { maxRequests: 4, maxBytes: 1 << 20 });
    const slow = deferred();
    harness.disk.before = () => slow.promise;
    harness.receive(request(0, 0, 0, 1).repeat(10));
    assert.equal(harness.disk.calls.length, 4);
    assert.deepEqual(harness.events, ['pause']);
    slow.resolve();
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE} 00`.repeat(10));
    assert.deepEqual(harness.events, ['pause', 'resume']);
  });

  test('with all slots taken but nothing unread the socket is still watched', () => {
    const harness = new Harness({}, { maxRequests: 4, maxBytes: 1 << 20 });
    harness.disk.before = () => deferred().promise;
    harness.receive(request(0, 0, 0, 1).repeat(4));
    assert.deepEqual(harness.events, []);
  });

  test('no more bytes are under way than allowed, but one request always is', async () => {
    const harness = new Harness({}, { maxRequests: 64, maxBytes: 10_000 });
    const slow = deferred();
    harness.disk.before = () => slow.promise;
    harness.receive(request(0, 0, 0, 100_000) + request(0, 0, 0, 4_000).repeat(4));
    assert.equal(harness.disk.calls.length, 1);
    slow.resolve();
    await harness.answer();
    assert.equal(harness.disk.calls.length, 5);
  });

  test('a reply that the client has not taken still counts', async () => {
    const harness = new Harness({}, { maxRequests: 4, maxBytes: 1 << 20 });
    harness.holdBack = [];
    harness.receive(request(0, 0, 0, 1).repeat(10));
    await harness.answer();
    assert.equal(harness.disk.calls.length, 4);
    assert.deepEqual(harness.events, ['pause']);
    for (const sent of harness.holdBack.splice(0)) sent();
    await harness.answer();
    assert.equal(harness.disk.calls.length, 8);
  });

  test('a WRITE that has no room waits with its payload', async () => {
    const harness = new Harness({}, { maxRequests: 64, maxBytes: 10 });
    const slow = deferred();
    harness.disk.before = () => slow.promise;
    harness.receive(request(1, 0, 0, 8, '61'.repeat(8)) + request(1, 0, 8, 8, '62'.repeat(8)));
    assert.equal(harness.disk.calls.length, 1);
    assert.deepEqual(harness.events, ['pause']);
    slow.resolve();
    await harness.expect(`${SIMPLE} 00000000 ${COOKIE}`.repeat(2));
    assert.equal(harness.disk.bytes.toString('latin1', 0, 17), 'aaaaaaaabbbbbbbb\0');
  });
});

test('replies of one turn leave together', async () => {
  const harness = new Harness();
  let sends = 0;
  harness.holdBack = [];
  harness.holdBack.push = () => ++sends;
  harness.receive(request(0, 0, 0, 4096).repeat(32));
  assert.equal((await harness.answer()).length, 2 * 32 * (16 + 4096));
  assert.ok(sends <= 2, `${sends} sends`);
});
