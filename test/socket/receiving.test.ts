// Who gets a received fd, and what is it like? docs/reference/fdset.md section 1.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { describe, test } from 'node:test';

import {
  getCloseOnExec,
  getStatusFlags,
  O,
  pipe,
  closeFd,
  socketPair,
  type SystemError,
} from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import type { Channel } from '../../src/socket/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';
import { runLimited } from './limited-process.ts';
import {
  channelAndPeer,
  channelPair,
  Deferred,
  MarkedFiles,
  spins,
  turns,
  unreferencedChannel,
  until,
  openFdCount,
} from './socket-peers.ts';

checkOpenFds();

describe('receiving', () => {
  const files = new MarkedFiles(4);

  /** A reader that has received these messages, and who sent them. */
  const received = async (...messages: [string, ...number[]][]): Promise<[Channel, Channel]> => {
    const [reader, writer] = channelPair({}, {});
    let length = 0;
    for (const [text, ...numbers] of messages) {
      writer.write(
        text,
        numbers.map((number) => files.fds[number]!),
      );
      length += text.length;
    }
    await until(() => reader.bytesReceived === length);
    return [reader, writer];
  };
  const taken = (channel: Channel, before: number): number | null => files.numberOfTaken(channel.takeFd(before));
  const destroy = (...channels: Channel[]): void => channels.forEach((channel) => channel.destroy());

  test('an fd is for what ends behind the first byte it came with', async () => {
    const [reader, writer] = await received(['ab'], ['cd', 1]);
    assert.equal(taken(reader, 2), null, 'ends before it');
    assert.equal(taken(reader, 3), 1);
    assert.equal(taken(reader, 4), null, 'it is given away once');
    destroy(reader, writer);
  });

  test('a newer fd replaces an older one that nobody has taken', async () => {
    const before = openFds().size;
    const [reader, writer] = await received(['ab', 1], ['cd', 2]);
    await openFdCount(before + 4);
    assert.equal(taken(reader, 4), 2);
    await openFdCount(before + 2);
    destroy(reader, writer);
  });

  test('but not for what ends before the newer one came', async () => {
    const [reader, writer] = await received(['ab', 1], ['cd', 2]);
    assert.equal(taken(reader, 2), 1);
    assert.equal(taken(reader, 4), 2);
    destroy(reader, writer);
  });

  test('settling closes what is replaced and keeps the newest', async () => {
    const before = openFds().size;
    const [reader, writer] = await received(['a', 0], ['b', 1], ['c', 2], ['d', 3]);
    reader.settleFds(3);
    await openFdCount(before + 4);
    assert.equal(taken(reader, 3), 2);
    reader.settleFds(4);
    reader.settleFds(4);
    assert.equal(taken(reader, 4), 3);
    await openFdCount(before + 2);
    destroy(reader, writer);
  });

  test('of several fds in one message the first is given, the others are closed', async () => {
    const before = openFds().size;
    const [reader, writer] = await received(['x', 2, ...Array.from({ length: 16 }, () => 1)]);
    assert.equal(taken(reader, 1), 2);
    assert.equal(taken(reader, 1), null);
    await openFdCount(before + 2);
    destroy(reader, writer);
  });

  test('fds that nobody has taken are closed with the channel', async () => {
    const before = openFds().size;
    const [reader, writer] = await received(['a', 0], ['b', 1], ['c', 2]);
    destroy(reader, writer);
    await openFdCount(before);
    assert.equal(reader.takeFd(3), null);
  });

  test('so are those that were never read', async () => {
    const before = openFds().size;
    const [reader, writer] = channelPair({}, {});
    reader.pause();
    for (let i = 0; i < 50; i++) writer.write('x', [files.fds[0]!]);
    writer.destroy();
    await turns();
    reader.destroy();
    await openFdCount(before);
  });

  test('the peer goes with its fds unread: they are delivered, then the end is told', async () => {
    const events: string[] = [];
    const ended = new Deferred();
    const [reader, writer] = channelPair(
      {
        data: (channel) => void events.push(`fd ${taken(channel, channel.bytesReceived)}`),
        end: () => ended.resolve(events.push('end') as never),
      },
      {},
    );
    reader.pause();
    writer.write('x', [files.fds[3]!]);
    writer.destroy();
    await turns();
    reader.resume();
    await ended.promise;
    assert.deepEqual(events, ['fd 3', 'end']);
    reader.destroy();
  });

  test('a received fd is close-on-exec, and blocks from now on for everybody', async () => {
    const [readEnd, writeEnd] = pipe();
    const fd = openSync(`/proc/self/fd/${readEnd}`, O.O_RDONLY | O.O_NONBLOCK);
    const [reader, writer] = channelPair({}, {});
    writer.write('x', [fd]);
    await until(() => reader.bytesReceived === 1);
    const got = reader.takeFd(1)!;
    assert.equal(getCloseOnExec(got.fd), true);
    assert.equal(getStatusFlags(got.fd) & O.O_NONBLOCK, 0);
    assert.equal(getStatusFlags(fd) & O.O_NONBLOCK, 0, 'the sender sees it too');
    got.close();
    closeSync(fd);
    closeFd(readEnd);
    closeFd(writeEnd);
    destroy(reader, writer);
  });

  test('a channel that receives no fds lets the kernel drop them', async () => {
    const before = openFds().size;
    const got: string[] = [];
    const handlers = { data: (_: Channel, bytes: Uint8Array) => void got.push(Buffer.from(bytes).toString()) };
    const [reader, peer] = channelAndPeer(handlers, { receiveFds: false });
    const writer = unreferencedChannel(peer);
    writer.write('ab', [files.fds[0]!]);
    writer.write('cd', [files.fds[1]!]);
    await until(() => reader.bytesReceived === 4);
    assert.equal(got.join(''), 'abcd');
    assert.equal(reader.takeFd(4), null);
    await openFdCount(before + 2);
    destroy(reader, writer);
  });

  test('near the limit of open files an fd is refused, and the connection lives on', () => {
    assert.deepEqual(runLimited('receive-near-limit', 80), {
      refused: ['ERR_FDSET_FD_REFUSED', 'ERR_FDSET_FD_REFUSED'],
      nothing: 'none',
      after: 'fd',
      closed: false,
    });
  });

  test('out of fds: one that is lost ends the connection, with an error that says so', () => {
    assert.deepEqual(runLimited('receive-beyond-limit', 80), {
      code: 'ERR_FDSET_FDS_LOST',
      message: 'the process is out of file descriptors: one that a peer has sent is lost',
    });
  });

  test('a socket that was set to bring process fds brings none', { skip: pythonMissing() }, async () => {
    const before = openFds().size;
    const [left, right] = socketPair().map((fd) => new OwnedFd(fd));
    const script = 'import socket; socket.socket(fileno=3).setsockopt(socket.SOL_SOCKET, 76, 1)'; // SO_PASSPIDFD
    try {
      execFileSync('python3', ['-c', script], { stdio: ['ignore', 'ignore', 'ignore', left!.fd] });
    } catch {
      // Linux before 6.5 has no such option
    }
    const [reader, writer] = [unreferencedChannel(left!), unreferencedChannel(right!)];
    for (let length = 1; length <= 5; length++) {
      writer.write('x');
      await until(() => reader.bytesReceived === length);
    }
    assert.equal(openFds().size, before + 2);
    destroy(reader, writer);
  });

  test('a byte sent out of band neither stops the channel nor makes it spin', { skip: pythonMissing() }, async (t) => {
    const got: string[] = [];
    const [reader, peer] = channelAndPeer({
      data: (_, bytes) => void got.push(Buffer.from(bytes).toString()),
    });
    const script = [
      'import socket, sys',
      's = socket.socket(fileno=3)',
      "s.send(b'!', socket.MSG_OOB)",
      "print('sent', flush=True)",
      'sys.stdin.read()',
      "s.send(b'ab'); s.send(b'!', socket.MSG_OOB); s.send(b'cd')",
    ].join('\n');
    const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit', peer.fd] });
    t.after(() => child.kill());
    peer.close();
    await new Promise((resolve) => child.stdout!.on('data', resolve));
    assert.equal(await spins(() => new Promise((resolve) => setTimeout(resolve, 200))), false);
    child.stdin!.end();
    await new Promise((resolve) => child.on('close', resolve));
    await until(() => got.join('').includes('cd'));
    assert.equal(got.join('').replaceAll('!', ''), 'abcd');
    reader.destroy();
  });

  test(
    'bytes out of band between fds end the connection at worst: nothing is lost or leaked',
    {
      skip: pythonMissing(),
    },
    async () => {
      const before = openFds().size;
      const closed = new Deferred<Error | undefined>();
      let got = '';
      const [reader, peer] = channelAndPeer({
        data: (channel, bytes) => {
          got += Buffer.from(bytes).toString();
          channel.settleFds(channel.bytesReceived);
        },
        end: (channel) => channel.destroy(),
        close: (_, error) => closed.resolve(error),
      });
      // First what makes the reader expect an fd in every second piece, then that, with bytes out of band.
      const script = [
        'import os, socket',
        's = socket.socket(fileno=3)',
        "f = os.open('/dev/null', os.O_RDONLY)",
        "def urgent(wanted): wanted and s.send(b'!', socket.MSG_OOB)",
        'def burst(place):',
        '  for i in range(8):',
        "    urgent(place == 2 * i); s.send(b'plain')",
        "    urgent(place == 2 * i + 1); socket.send_fds(s, [b'with an fd'], [f])",
        "  os.write(1, b'sent'); os.read(0, 1)",
        'for _ in range(3): burst(-1)',
        'for place in range(16): burst(place)',
      ].join('\n');
      reader.pause();
      const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore', peer.fd] });
      peer.close();
      child.stdout!.on('data', () => {
        reader.resume();
        setTimeout(() => {
          reader.pause();
          child.stdin!.write('x');
        }, 20);
      });
      child.on('close', () => reader.resume());
      const error = await closed.promise;
      if (error === undefined) assert.equal(got.replaceAll('!', ''), 'plainwith an fd'.repeat(152));
      else assert.equal((error as SystemError).errnoName, 'EIO');
      await until(() => openFds().size <= before);
    },
  );
});

function pythonMissing(): string | false {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'python3 is not installed';
  }
}
