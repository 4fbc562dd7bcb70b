// Does any way for a connection to end leave an fd behind? Not of those tried here, nor does a thread that ends.
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import type { OwnedFd } from '../../src/fds/index.ts';
import { type Channel, connectUnix, listenUnix } from '../../src/socket/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';
import { MarkedFiles, openFdCount, turns, unreferencedChannel, until } from '../socket/socket-peers.ts';

checkOpenFds();

describe('a flood of connections', () => {
  const files = new MarkedFiles(2);

  /** Ways to treat a connection on either side; the last leaves its end to the other side. */
  const ways: ((channel: Channel, fds: readonly number[]) => void)[] = [
    (channel) => channel.destroy(),
    (channel) => channel.end(),
    (channel, fds) => {
      channel.write('fd', fds);
      channel.end();
    },
    (channel, fds) => {
      channel.write('fd', fds);
      channel.destroy();
    },
    (channel, fds) => {
      channel.pause();
      channel.write(Buffer.alloc(300_000), fds);
      channel.write('more', fds);
      setImmediate(() => channel.destroy());
    },
    (channel, fds) => {
      for (let i = 0; i < 5; i++) channel.write('x', fds);
      setImmediate(() => channel.destroy(new Error('enough')));
    },
    (channel) => setImmediate(() => channel.takeFd(channel.bytesReceived)?.close()),
  ];

  test('of 10,000 that end in every way leaves no fd', async () => {
    const name = `@fdset-flood-${process.pid}`;
    const listener = listenUnix(name, { backlog: 64 });
    const before = openFds().size;
    let open = 0;
    let served = 0;
    const treat = (fd: OwnedFd, way: number): void => {
      open++;
      const channel = unreferencedChannel(fd, {
        data: (self) => (way % 2 === 0 ? self.takeFd(self.bytesReceived)?.close() : undefined),
        end: (self) => self.destroy(),
        close: () => void open--,
      });
      ways[way % ways.length]!(channel, files.fds);
    };
    listener.onConnection = (fd) => treat(fd, served++);
    for (let i = 0; i < 10_000; i++) {
      treat(await connectUnix(name), Math.floor(i / ways.length) % (ways.length - 1));
      if (i % 100 === 99) await until(() => open < 100);
    }
    await until(() => served === 10_000);
    await until(() => open === 0);
    await openFdCount(before);
    listener.close();
    await turns();
  });
});

describe('a worker thread', () => {
  const script = fileURLToPath(new URL('socket-worker.js', import.meta.url));

  for (const how of ['terminated', 'exits', 'returns', 'throws', 'terminated in a handler']) {
    test(`that is ${how} with unread, untaken and unsent fds leaves none open`, async () => {
      const before = openFds().size;
      for (let i = 0; i < 5; i++) {
        const worker = new Worker(script, { workerData: how });
        worker.on('error', () => undefined);
        const gone = new Promise((resolve) => worker.on('exit', resolve));
        await new Promise((resolve) => worker.on('message', resolve));
        if (how.startsWith('terminated')) await worker.terminate();
        await gone;
      }
      await openFdCount(before);
    });
  }
});
