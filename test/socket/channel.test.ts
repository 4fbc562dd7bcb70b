// How does a channel live and end? The states at the top of src/socket/channel.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { OwnedFd } from '../../src/fds/index.ts';
import { type Channel, type ChannelHandlers, openChannel } from '../../src/socket/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';
import { channelAndPeer, channelPair, openFdCount, spins, turns, until } from './socket-peers.ts';

checkOpenFds();

/** Handlers that note every call. */
function recorder(events: string[], more: ChannelHandlers = {}): ChannelHandlers {
  return {
    data(channel, bytes) {
      events.push(`data ${Buffer.from(bytes).toString()}`);
      more.data?.(channel, bytes);
    },
    end(channel) {
      events.push('end');
      more.end?.(channel);
    },
    drain(channel) {
      events.push('drain');
      more.drain?.(channel);
    },
    close(channel, error) {
      events.push(error === undefined ? 'close' : `close ${error.message}`);
      more.close?.(channel, error);
    },
  };
}

describe('a channel', () => {
  test('tells what arrives, the end of the peer, and its own close last', async () => {
    const events: string[] = [];
    const [reader, writer] = channelPair(recorder(events), {});
    writer.write('ab');
    await until(() => events.length === 1);
    writer.write('cd');
    writer.end();
    await until(() => events.length === 3);
    reader.write('still open');
    reader.destroy();
    reader.destroy();
    assert.equal(reader.destroyed, true);
    await until(() => events.length === 4);
    await turns();
    assert.deepEqual(events, ['data ab', 'data cd', 'end', 'close']);
    writer.destroy();
  });

  test('closes by itself when both sides have ended', async () => {
    const left: string[] = [];
    const right: string[] = [];
    const [a, b] = channelPair(recorder(left), recorder(right, { end: (channel) => channel.end() }));
    a.write('x');
    a.end();
    await until(() => left.length === 2 && right.length === 3);
    assert.deepEqual(left, ['end', 'close']);
    assert.deepEqual(right, ['data x', 'end', 'close']);
    assert.equal(b.destroyed, true);
  });

  test('tells why it was destroyed', async () => {
    const events: string[] = [];
    const [channel, peer] = channelAndPeer(recorder(events));
    channel.destroy(new Error('because'));
    await until(() => events.length > 0);
    assert.deepEqual(events, ['close because']);
    peer.close();
  });

  test('tells ECONNRESET where the peer has gone without reading, but what it sent first', async () => {
    const events: string[] = [];
    const [channel, writer] = channelPair(recorder(events), {});
    writer.pause();
    channel.pause();
    channel.write('unread');
    writer.write('last words');
    writer.destroy();
    await turns();
    channel.resume();
    await until(() => events.length === 2);
    assert.deepEqual(events, ['data last words', 'close Connection reset by peer']);
  });

  const expected = {
    data: ['data x', 'close'],
    drain: ['data x', 'drain', 'close'],
    end: ['data x', 'drain', 'end', 'close'],
    close: ['data x', 'drain', 'end', 'close'],
  };
  for (const when of ['data', 'drain', 'end', 'close'] as const) {
    test(`can be destroyed in its ${when} handler, and is told nothing more but its close`, async () => {
      const before = openFds().size;
      const events: string[] = [];
      const [channel, writer] = channelPair(recorder(events, { [when]: (c: Channel) => c.destroy() }), {});
      while (channel.write(Buffer.alloc(100_000)));
      writer.pause();
      writer.write('x');
      await turns();
      writer.resume();
      await until(() => channel.destroyed || events.includes('drain'));
      writer.end();
      await turns();
      if (when === 'close') channel.destroy();
      await until(() => events.includes('close'));
      await turns();
      assert.deepEqual(events, expected[when]);
      writer.destroy();
      await openFdCount(before);
    });
  }

  test('can be destroyed by its peer’s callback while both have something to read', async () => {
    for (let i = 0; i < 20; i++) {
      const channels: Channel[] = [];
      const destroyBoth = { data: (): void => channels.forEach((channel) => channel.destroy()) };
      channels.push(...channelPair(destroyBoth, destroyBoth));
      channels[0]!.write('x');
      channels[1]!.write('y');
      await turns();
    }
  });

  test('reads nothing while it is paused, from the moment it is', async () => {
    const events: string[] = [];
    const [reader, writer] = channelPair(recorder(events, { data: (channel) => channel.pause() }), {});
    writer.write('a');
    await until(() => events.length === 1);
    writer.write('b');
    writer.end();
    await turns(5);
    assert.deepEqual(events, ['data a']);
    reader.resume();
    await turns(5);
    assert.deepEqual(events, ['data a', 'data b']);
    reader.resume();
    await until(() => events.length === 3);
    assert.deepEqual(events, ['data a', 'data b', 'end']);
    reader.destroy();
    writer.destroy();
  });

  test('rests while it is paused with something to read', async () => {
    const [reader, writer] = channelPair({}, {});
    reader.pause();
    writer.write('unread');
    assert.equal(await spins(() => new Promise((resolve) => setTimeout(resolve, 200))), false);
    reader.destroy();
    writer.destroy();
  });

  test('lends its bytes: they are the same memory every time', async () => {
    const seen: Uint8Array[] = [];
    const [reader, writer] = channelPair({ data: (_, bytes) => void seen.push(bytes) }, {});
    writer.write('one');
    await until(() => seen.length === 1);
    writer.write('two');
    await until(() => seen.length === 2);
    assert.equal(Buffer.from(seen[0]!).toString(), 'two');
    reader.destroy();
    writer.destroy();
  });

  test('runs the promises that a callback has settled before the next callback', async () => {
    const order: string[] = [];
    const handlers = (name: string): ChannelHandlers => ({
      data() {
        order.push(name);
        void Promise.resolve().then(() => order.push(`${name} settled`));
      },
    });
    const [a, b] = channelPair(handlers('a'), handlers('b'));
    a.write('x');
    b.write('y');
    await until(() => order.length === 4);
    assert.match(order.join(), /^(a,a settled,b,b settled|b,b settled,a,a settled)$/);
    a.destroy();
    b.destroy();
  });

  test('knows who has connected', () => {
    const [channel, peer] = channelAndPeer({});
    assert.deepEqual(channel.peerCred(), { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
    channel.destroy();
    peer.close();
  });

  test('takes the fd also where it is no socket, and fails', () => {
    const file = new OwnedFd(openSync('/dev/null', 'r'));
    assert.throws(() => openChannel(file, {}), { errnoName: 'ENOTSOCK' });
    assert.equal(file.closed, true);
  });

  test('may be ended between cork and uncork', async () => {
    const events: string[] = [];
    const [reader, writer] = channelPair(recorder(events), {});
    writer.cork();
    writer.write('reply');
    writer.end();
    writer.uncork();
    await until(() => events.includes('end'));
    assert.deepEqual(events, ['data reply', 'end']);
    reader.destroy();
    writer.destroy();
  });
});

describe('a handler that throws', () => {
  const child = fileURLToPath(new URL('throwing-handler.js', import.meta.url));
  for (const when of ['data', 'end', 'drain', 'close', 'data with fds']) {
    test(`${when}: surfaces as an uncaught exception, and closes its channel but nothing else`, () => {
      const { stdout, stderr, status } = spawnSync(process.execPath, [child, when], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.equal(stderr, '');
      assert.deepEqual(JSON.parse(stdout), { uncaught: ['thrown'], closed: ['thrown'], others: 'alive' });
      assert.equal(status, 0);
    });
  }

  test('without anyone to catch it ends the process', () => {
    const { stderr, status } = spawnSync(process.execPath, [child, 'uncaught'], { encoding: 'utf8', timeout: 20_000 });
    assert.equal(status, 1);
    assert.match(stderr, /Error: thrown/);
  });
});

describe('the event loop', () => {
  const lives = (body: string): string => {
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { openChannel, listenUnix } from ${url('../../src/socket/index.js')};
      import { socketPair } from ${url('../../src/addon/index.js')};
      import { OwnedFd } from ${url('../../src/fds/index.js')};
      const [left, right] = socketPair();
      const channel = openChannel(new OwnedFd(left), {});
      // Comes only where something else keeps the loop alive, however slow the machine is.
      setTimeout(() => process.exit(42), 200).unref();
      ${body}`;
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
    return status === 42 ? 'alive' : `exit ${status}`;
  };

  test('is kept alive by a channel, paused or not, unless it is unreferenced', () => {
    assert.equal(lives(''), 'alive');
    assert.equal(lives('channel.pause()'), 'alive');
    assert.equal(lives('channel.pause(); channel.unref()'), 'exit 0');
    assert.equal(lives('channel.unref(); channel.pause()'), 'exit 0');
    assert.equal(lives('channel.unref()'), 'exit 0');
    assert.equal(lives('channel.destroy()'), 'exit 0');
  });

  test('is kept alive by a listener, paused or not', () => {
    const listen = "channel.destroy(); const listener = listenUnix('@fdset-alive-' + process.pid);";
    assert.equal(lives(listen), 'alive');
    assert.equal(lives(`${listen} listener.pause()`), 'alive');
    assert.equal(lives(`${listen} listener.unref()`), 'exit 0');
    assert.equal(lives(`${listen} listener.close()`), 'exit 0');
  });
});
