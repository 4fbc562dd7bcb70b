// Does every fd arrive once, with the first byte of its message, whatever the kernel takes at a time?
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, test } from 'node:test';

import { closeFd, dupFd } from '../../src/addon/index.ts';
import type { Channel } from '../../src/socket/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';
import {
  channelAndPeer,
  channelPair,
  Deferred,
  MarkedFiles,
  turns,
  unreferencedChannel,
  until,
  openFdCount,
} from './socket-peers.ts';

checkOpenFds();

describe('sending', () => {
  const files = new MarkedFiles(4);

  /** Reads everything; takes the fd of each 10-byte message. */
  const readMessages = (size: number, seen: (number | null)[]) => {
    let next = size;
    return (channel: Channel): void => {
      for (; next <= channel.bytesReceived; next += size) seen.push(files.numberOfTaken(channel.takeFd(next)));
    };
  };

  test('300 messages with an fd each into a full socket: those that wait keep their fds', async () => {
    const seen: (number | null)[] = [];
    const drained = new Deferred();
    const [reader, writer] = channelPair({ data: readMessages(10, seen) }, { drain: () => drained.resolve() });
    reader.pause();
    const results = Array.from({ length: 300 }, (_, i) => writer.write('0123456789', [files.fds[i % 4]!]));
    assert.equal(results[0], true);
    assert.equal(results.at(-1), false, 'the socket takes 300 messages at once: this tests nothing');
    assert.ok(writer.bufferedBytes > 0);
    reader.resume();
    await drained.promise;
    assert.equal(writer.bufferedBytes, 0);
    await until(() => seen.length === 300);
    assert.deepEqual(
      seen,
      Array.from({ length: 300 }, (_, i) => i % 4),
    );
    reader.destroy();
    writer.destroy();
  });

  test('the caller may close its fds at once: 2000 of 2000 arrive', async () => {
    const seen: (number | null)[] = [];
    const [reader, writer] = channelPair({ data: readMessages(3, seen) }, {});
    for (let i = 0; i < 2000; i++) {
      const fd = dupFd(files.fds[i % 4]!);
      writer.write('abc', [fd]);
      closeFd(fd);
      if (i % 500 === 0) await turns();
    }
    await until(() => seen.length === 2000);
    assert.deepEqual(
      seen,
      Array.from({ length: 2000 }, (_, i) => i % 4),
    );
    reader.destroy();
    writer.destroy();
  });

  test('a message that is sent in parts: its fds go with the first byte only', async () => {
    const starts: string[] = [];
    let looked = 0;
    const [reader, writer] = channelPair(
      {
        data(channel) {
          while (looked < channel.bytesReceived) {
            const number = files.numberOfTaken(channel.takeFd(++looked));
            if (number !== null) starts.push(`${looked - 1}:${number}`);
          }
        },
      },
      {},
    );
    reader.pause();
    const big = Buffer.alloc(700_000, 'b');
    assert.equal(writer.write(big, [files.fds[1]!]), false);
    writer.write(big, [files.fds[2]!, files.fds[3]!]);
    writer.write('tail');
    big.fill('x'); // what waits is a copy
    assert.ok(writer.bufferedBytes > 700_000);
    reader.resume();
    await until(() => reader.bytesReceived === 1_400_004);
    assert.deepEqual(starts, ['0:1', '700000:2']);
    reader.destroy();
    writer.destroy();
  });

  test('bytes and strings of every length arrive as they were', async () => {
    const got: Buffer[] = [];
    const sent: Buffer[] = [];
    const [reader, writer] = channelPair({ data: (_, bytes) => void got.push(Buffer.from(bytes)) }, {});
    for (const length of [1, 2, 65_535, 65_536, 65_537, 300_000]) {
      const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0xff));
      writer.write(bytes);
      writer.write(bytes.toString('latin1'));
      sent.push(bytes, bytes);
    }
    await until(() => reader.bytesReceived === Buffer.concat(sent).length);
    assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
    reader.destroy();
    writer.destroy();
  });

  test('what waits when the channel is destroyed is dropped, and its fds are closed', async () => {
    const before = openFds().size;
    const [reader, writer] = channelPair({}, {});
    reader.pause();
    while (writer.write('0123456789', [files.fds[0]!]));
    for (let i = 0; i < 20; i++) writer.write('x', [files.fds[1]!, files.fds[2]!]);
    assert.ok(openFds().size > before + 40, 'nothing was duplicated: this tests nothing');
    writer.destroy();
    reader.destroy();
    await openFdCount(before);
    await turns();
  });

  test('fds without a byte to go with are refused', () => {
    const [reader, writer] = channelPair({}, {});
    const refused = { code: 'ERR_FDSET_CHANNEL', message: 'fds need at least one byte to go with' };
    assert.throws(() => writer.write('', [files.fds[0]!]), refused);
    assert.throws(() => writer.write(new Uint8Array(0), [files.fds[0]!]), refused);
    assert.equal(writer.write(''), true);
    reader.destroy();
    writer.destroy();
  });

  test('253 fds in one message arrive, 254 are refused', async () => {
    const seen: (number | null)[] = [];
    const [reader, writer] = channelPair({ data: readMessages(1, seen) }, {});
    assert.throws(
      () =>
        writer.write(
          'x',
          Array.from({ length: 254 }, () => files.fds[0]!),
        ),
      {
        code: 'ERR_FDSET_CHANNEL',
      },
    );
    writer.write('x', [files.fds[2]!, ...Array.from({ length: 252 }, () => files.fds[0]!)]);
    await until(() => seen.length === 1);
    assert.deepEqual(seen, [2]);
    reader.destroy();
    writer.destroy();
  });

  test('an fd that is not open is an error of the call, and nothing is sent', async () => {
    const got: string[] = [];
    const [reader, writer] = channelPair({ data: (_, bytes) => void got.push(Buffer.from(bytes).toString()) }, {});
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    assert.throws(() => writer.write('lost', [fd]), { errnoName: 'EBADF', syscall: 'sendmsg' });
    writer.write('kept');
    await until(() => got.length > 0);
    assert.deepEqual(got, ['kept']);
    reader.pause();
    while (writer.write(Buffer.alloc(10_000)));
    const waiting = writer.bufferedBytes;
    assert.throws(() => writer.write('lost', [fd]), { errnoName: 'EBADF' }, 'also where it would have to wait');
    assert.equal(writer.bufferedBytes, waiting);
    reader.destroy();
    writer.destroy();
  });

  test('writes between cork and uncork leave together, in order with those that cannot wait', async () => {
    const got: string[] = [];
    const [reader, writer] = channelPair({ data: (_, bytes) => void got.push(Buffer.from(bytes).toString()) }, {});
    writer.cork();
    writer.cork();
    writer.write('a');
    writer.write('b');
    assert.equal(writer.bufferedBytes, 2);
    writer.uncork();
    await turns();
    assert.deepEqual(got, []);
    writer.uncork();
    await until(() => got.length > 0);
    writer.cork();
    writer.write('c');
    writer.write('d', [files.fds[0]!]);
    writer.write('e');
    writer.write(Buffer.from('f'));
    writer.write('g');
    writer.uncork();
    await until(() => reader.bytesReceived === 7);
    assert.equal(got.join(''), 'abcdefg');
    assert.equal(got[0], 'ab');
    assert.throws(() => writer.uncork(), { code: 'ERR_FDSET_CHANNEL' });
    reader.destroy();
    writer.destroy();
  });

  test('a write to a peer that is gone closes the channel with EPIPE; later writes do nothing', async () => {
    const closed = new Deferred<Error | undefined>();
    const [writer, peer] = channelAndPeer({ close: (_, error) => closed.resolve(error) });
    writer.pause();
    peer.close();
    writer.write('x');
    writer.write('y');
    assert.equal(((await closed.promise) as { errnoName?: string }).errnoName, 'EPIPE');
    assert.equal(writer.write('z', [files.fds[0]!]), true);
    assert.equal(writer.bufferedBytes, 0);
  });

  test('end sends what waits, then ends; writing after it is a bug of the caller', async () => {
    let length = 0;
    const ended = new Deferred();
    const closed = new Deferred<Error | undefined>();
    const [writer, peer] = channelAndPeer({ close: (_, error) => closed.resolve(error) });
    while (writer.write(Buffer.alloc(50_000)));
    writer.write('last');
    const expected = writer.bufferedBytes;
    writer.end();
    assert.throws(() => writer.write('x'), { code: 'ERR_FDSET_CHANNEL' });
    const reader = unreferencedChannel(peer, {
      data: (_, bytes) => void (length += bytes.length),
      end: () => ended.resolve(),
    });
    await ended.promise;
    assert.ok(length > expected && length % 50_000 === 4);
    reader.end();
    assert.equal(await closed.promise, undefined);
  });
});
