// Which byte did an fd come with? Always the first byte of its message, however the kernel glues and we batch.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { socketChainedReads } from '../../src/addon/index.ts';
import type { Channel } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { channelPair, MarkedFiles, until } from './socket-peers.ts';

checkOpenFds();
after(() => void socketChainedReads(true));

/** Takes the fds of everything that arrives, and notes at which byte each was: `offset:file`. */
class Witness {
  readonly seen: string[] = [];
  readonly #files: MarkedFiles;
  #looked = 0;

  constructor(files: MarkedFiles) {
    this.#files = files;
  }

  data(channel: Channel): void {
    while (this.#looked < channel.bytesReceived) {
      const number = this.#files.numberOfTaken(channel.takeFd(++this.#looked));
      if (number !== null) this.seen.push(`${this.#looked - 1}:${number}`);
    }
  }
}

interface Message {
  readonly size: number;
  readonly file: number | undefined;
}

/** Sends each message with a system call of its own; after each burst the other end is let read. */
async function attributionOf(files: MarkedFiles, bursts: readonly (readonly Message[])[]): Promise<void> {
  const witness = new Witness(files);
  const expected: string[] = [];
  const [reader, writer] = channelPair({ data: (channel) => witness.data(channel) }, {});
  let offset = 0;
  for (const burst of bursts) {
    reader.pause();
    for (const { size, file } of burst) {
      writer.write(Buffer.alloc(size, 'x'), file === undefined ? undefined : [files.fds[file]!]);
      if (file !== undefined) expected.push(`${offset}:${file}`);
      offset += size;
    }
    reader.resume();
    if (offset % 3 === 0) await until(() => reader.bytesReceived === offset);
  }
  await until(() => reader.bytesReceived === offset);
  reader.destroy();
  writer.destroy();
  assert.deepEqual(witness.seen, expected);
}

const plain = (size: number): Message => ({ size, file: undefined });
const withFile = (size: number, file: number): Message => ({ size, file });

for (const chained of [true, false]) {
  describe(chained ? 'with chained reads' : 'with one read at a time', () => {
    const files = new MarkedFiles(16);
    const run = (...bursts: Message[][]): Promise<void> => {
      assert.equal(socketChainedReads(chained), chained, 'this kernel does not chain reads');
      return attributionOf(files, bursts);
    };

    test('a message without an fd, then one with: the fd is the second one’s', () => run([plain(4), withFile(6, 1)]));

    test('every length of a piece before the fd, and of the message with it', async () => {
      for (let before = 1; before < 48; before += 3) {
        for (let size = 1; size < 48; size += 5) await run([plain(before), withFile(size, 2), plain(7)]);
      }
    });

    test('many small pieces before the fd', () =>
      run([...Array.from({ length: 50 }, () => plain(1)), withFile(1, 3), plain(1), plain(1), withFile(1, 4)]));

    test('more messages with fds than one batch holds', () =>
      run(Array.from({ length: 150 }, (_, i) => withFile(96 + (i % 3), i % 16))));

    test('messages with fds and glued pieces in between, at every place of a batch', async () => {
      for (let place = 0; place < 70; place += 7) {
        const messages = Array.from({ length: 70 }, (_, i) => withFile(90, i % 16));
        messages.splice(place, 0, plain(90));
        await run(messages);
      }
    });

    test('a message that is larger than a batch', () =>
      run([plain(5), withFile(150_000, 1)], [plain(300_000), withFile(10, 2)], [withFile(300_000, 3), withFile(1, 4)]));

    test('more bytes than a batch holds, in messages that do not fill it to the byte', () =>
      run(
        Array.from({ length: 40 }, (_, i) => withFile(4500 + i, i % 16)),
        Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? plain(9000) : withFile(9001, i % 16))),
      ));

    test('every second message has an fd', () =>
      run(
        Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? plain(60 + i) : withFile(90, i % 16))),
        Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? plain(60) : withFile(1 + (i % 7), i % 16))),
        Array.from({ length: 30 }, (_, i) => (i % 2 === 0 || i > 20 ? withFile(90, i % 16) : plain(60))),
      ));

    test('glued messages, the last of which does not fit into a batch', () =>
      run(
        [plain(10), withFile(10, 1)],
        [plain(30_000), plain(30_000), plain(30_000), plain(30_000), withFile(30_000, 2), withFile(10, 3)],
        [plain(10), withFile(10, 4)],
        [plain(30_000), plain(30_000), plain(30_000), plain(30_000), plain(20_000), withFile(10, 5), withFile(10, 6)],
        [plain(10), withFile(10, 7)],
        [plain(131_062), withFile(10, 8)],
      ));

    test('a batch that is full to the byte', async () => {
      for (const size of [131_070, 131_071, 131_072, 131_073]) {
        await run([plain(size), withFile(3, 1), plain(3)]);
        await run([withFile(size, 5), withFile(3, 1), plain(3)]);
        await run([plain(size - 3), withFile(3, 2), withFile(3, 1)]);
      }
    });

    test('random messages in random bursts', async () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = mulberry32(seed);
        const bursts = Array.from({ length: 1 + random(8) }, () =>
          Array.from({ length: 1 + random(100) }, () => {
            const size = random(40) === 0 ? 1 + random(60_000) : 1 + random(random(2) === 0 ? 4 : 200);
            return { size, file: random(2) === 0 ? random(16) : undefined };
          }),
        );
        await run(...bursts).catch((error: unknown) => {
          throw new Error(`seed ${seed}`, { cause: error });
        });
      }
    });

    test('every kind of region, changing as it goes, in sizes from a byte to 64 KiB', async () => {
      for (let seed = 1; seed <= 20; seed++) {
        const random = mulberry32(seed);
        const size = (): number => 1 + random([4, 25, 100, 4096, 65_536][random(5)]!);
        const file = (): Message => withFile(size(), random(16));
        const kinds = [
          () => [file()],
          () => [plain(size()), file()],
          () => [...Array.from({ length: 1 + random(20) }, () => plain(1 + random(3))), file()],
          () => [plain(size())],
        ];
        const stretch = (): Message[] => {
          const kind = kinds[random(kinds.length)]!;
          return Array.from({ length: 1 + random(40) }, kind).flat();
        };
        const bursts = Array.from({ length: 1 + random(4) }, () => [...stretch(), ...stretch()]);
        await run(...bursts).catch((error: unknown) => {
          throw new Error(`seed ${seed}`, { cause: error });
        });
      }
    });
  });
}

/** A small generator of pseudo-random numbers below a bound. */
function mulberry32(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}
