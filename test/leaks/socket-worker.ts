// A thread that ends with fds in every state: unread in a socket, received but not taken, queued for sending.
import { closeSync, openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

import { openChannel, listenUnix } from '../../src/socket/index.ts';
import { socketPair } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';

const how = workerData as string;

function tellReady(): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the port of a thread, not a window
  parentPort!.postMessage('ready');
}

const file = openSync('/dev/null', 'r');
const [left, right] = socketPair();
const reader = openChannel(new OwnedFd(left), {
  data() {
    if (how !== 'terminated in a handler') return;
    tellReady();
    for (;;);
  },
});
const writer = openChannel(new OwnedFd(right), {});
const [lazy, peer] = socketPair();
const unread = openChannel(new OwnedFd(lazy), {});
unread.pause();
const sender = openChannel(new OwnedFd(peer), {});
listenUnix(`@fdset-worker-${process.pid}-${Math.random()}`).onConnection = (fd) => fd.close();
for (let i = 0; i < 20; i++) writer.write('untaken', [file]);
while (sender.write('unread', [file]));
for (let i = 0; i < 20; i++) sender.write('unsent', [file]);
closeSync(file);

const timer = setInterval(() => {
  if (reader.bytesReceived === 0) return;
  clearInterval(timer);
  tellReady();
  if (how === 'exits') process.exit(3);
  if (how === 'throws') throw new Error('on purpose');
  if (how === 'returns') {
    for (const channel of [reader, writer, unread, sender]) channel.unref();
    parentPort!.close();
    process.exit();
  }
}, 1);
