// What happens when a process has few fds? Runs one of these scenes in a process with a limit, and prints its result.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { socketPair, type SystemError } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { type Channel, connectUnix, listenUnix } from '../../src/socket/index.ts';
import { openFds } from '../open-fds.ts';
import { Deferred, openFdCount, spins, turns, unreferencedChannel, until } from './socket-peers.ts';

/** What the scene prints, run in a process that may have `limit` open files. */
export function runLimited(scene: string, limit: number): unknown {
  const script = `ulimit -n ${limit} && exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, fileURLToPath(import.meta.url), scene];
  return JSON.parse(execFileSync('bash', args, { encoding: 'utf8', timeout: 30_000 }));
}

/** Opens files until their numbers reach `number`. */
function openUpTo(number: number): number[] {
  const fds = [openSync('/dev/null', 'r')];
  while (fds.at(-1)! < number) fds.push(openSync('/dev/null', 'r'));
  return fds;
}

function pair(close: (error: Error | undefined) => void): [Channel, Channel] {
  const [left, right] = socketPair();
  const reader = unreferencedChannel(new OwnedFd(left), { close: (_, error) => close(error) });
  return [reader, unreferencedChannel(new OwnedFd(right), {})];
}

/**
 * Sends as soon as the kernel takes more fds under way: it counts those of all processes of an ordinary user, other tests
 * too, against the limit of this one (ETOOMANYREFS, unix(7)).
 */
async function send(writer: Channel, text: string, fds: readonly number[]): Promise<void> {
  await until(() => {
    try {
      writer.write(text, fds);
      return true;
    } catch (error) {
      if ((error as SystemError).errno !== TOO_MANY_REFERENCES) throw error;
      return false;
    }
  });
}

const TOO_MANY_REFERENCES = 109;

const scenes: Record<string, () => Promise<unknown>> = {
  async 'receive-near-limit'() {
    let closed = false;
    const [reader, writer] = pair(() => (closed = true));
    const taking = (before: number): string => {
      try {
        const fd = reader.takeFd(before);
        fd?.close();
        return fd === null ? 'none' : 'fd';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const fds = openUpTo(48);
    for (const text of ['a', 'b', 'c']) await send(writer, text, [fds[0]!]);
    await until(() => reader.bytesReceived === 3);
    const refused = [taking(1)];
    refused.push(taking(3));
    const nothing = taking(3);
    for (const fd of fds.splice(1)) closeSync(fd);
    await send(writer, 'd', fds);
    await until(() => reader.bytesReceived === 4);
    const after = taking(4);
    await turns();
    const result = { refused, nothing, after, closed };
    reader.destroy();
    writer.destroy();
    return result;
  },

  async 'receive-beyond-limit'() {
    const closed = new Deferred<Error | undefined>();
    const [reader, writer] = pair((error) => closed.resolve(error));
    reader.pause();
    const before = openFds().size;
    await send(writer, 'a', [0]);
    await send(writer, 'b', [0]);
    const fds = openUpTo(79);
    reader.resume();
    const error = (await closed.promise) as Error & { code: string };
    for (const fd of fds) closeSync(fd);
    writer.destroy();
    await openFdCount(before - 2);
    return { code: error.code, message: error.message };
  },

  async 'accept-beyond-limit'() {
    const listener = listenUnix('@fdset-test-accept-' + process.pid);
    const accepted: Channel[] = [];
    listener.onConnection = (fd) => accepted.push(unreferencedChannel(fd, {}));
    const fds = openUpTo(40);
    const clients: OwnedFd[] = [];
    for (let i = 0; i < 8; i++) clients.push(await connectUnix('@fdset-test-accept-' + process.pid));
    const spun = await spins(() => new Promise((resolve) => setTimeout(resolve, 450)));
    const waited = accepted.length;
    for (const fd of fds) closeSync(fd);
    await until(() => accepted.length === 8);
    for (const channel of accepted) channel.destroy();
    for (const client of clients) client.close();
    listener.close();
    return { acceptedAtLimit: waited, spins: spun, acceptedLater: accepted.length };
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await scenes[process.argv[2] ?? '']!()));
}
