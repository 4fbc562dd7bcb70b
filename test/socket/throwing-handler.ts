// What does a throwing handler do to its process? Run by channel.test.ts with the name of the handler that throws; prints
// what was seen.
import { openSync } from 'node:fs';

import type { Channel } from '../../src/socket/index.ts';
import { openFds } from '../open-fds.ts';
import { channelAndPeer, channelPair, openFdCount, turns, unreferencedChannel, until } from './socket-peers.ts';

const when = process.argv[2];
const uncaught: string[] = [];
const closed: string[] = [];
if (when !== 'uncaught') process.on('uncaughtException', (error) => uncaught.push(error.message));

function fail(): never {
  throw new Error('thrown');
}

const file = openSync('/dev/null', 'r');
const [left, right] = channelPair({}, { data: (channel, bytes) => void channel.write(bytes) });
const before = openFds().size;
const [channel, peer] = channelAndPeer({
  data: when === 'data' || when === 'data with fds' || when === 'uncaught' ? fail : undefinedHandler,
  end: when === 'end' ? fail : undefinedHandler,
  drain: when === 'drain' ? fail : undefinedHandler,
  close(_: Channel, error?: Error) {
    closed.push(error?.message ?? 'thrown');
    if (when === 'close') fail();
  },
});
function undefinedHandler(): void {
  // what is not under test
}

const writer = unreferencedChannel(peer, {});
writer.pause();
while (channel.write(Buffer.alloc(100_000), [file]));
writer.write('one', [file]);
writer.write('two', [file]);
await turns();
writer.resume();
await turns();
writer.end();
await turns();
if (when === 'close') channel.destroy();
await until(() => closed.length > 0);
writer.destroy();
await turns();

let others = 'dead';
left.write('alive');
await until(() => left.bytesReceived === 5).then(() => (others = 'alive'));
await openFdCount(before);
console.log(JSON.stringify({ uncaught, closed, others }));
left.destroy();
right.destroy();
