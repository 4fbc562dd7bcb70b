// Does a connection leave anything behind in the server, however it ends? FDSET_LEAK_CONNECTIONS sets how many there are
// (default 2000).
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';
import { ownServer } from '../transcripts/own-server.ts';
import { ServerUnderTest } from '../transcripts/server.ts';

checkOpenFds();

const CONNECTIONS = Number(process.env['FDSET_LEAK_CONNECTIONS'] ?? 2000);
const MIB = 1 << 20;

/** How a connection ends, once it has added an fd and removed it. */
const ENDINGS: readonly ((client: QmpConnection, fd: number) => void | Promise<void>)[] = [
  // with a clean close
  () => undefined,
  // in the middle of a message that carries an fd
  (client, fd) => client.send('{"execute": "add-fd", "argum', [fd]),
  // with fds that no command has taken, more than are kept
  (client, fd) => client.send(' ', Array<number>(20).fill(fd)),
  // with fds that replace each other
  (client, fd) => {
    client.send(' ', [fd, fd]);
    client.send('{"execute": "query-jobs"}', [fd]);
    client.send(' ', [fd]);
  },
  // in the middle of a long reply
  async (client) => {
    client.send('{"execute": "query-qmp-schema"}'.repeat(3));
    await sleep(1);
  },
  // with an fd that a command took and kept under a name, again and again the same
  (client, fd) => client.send('{"execute": "getfd", "arguments": {"fdname": "kept"}}', [fd]),
  // with an fd on a command that fails
  (client, fd) => client.send('{"execute": "getfd", "arguments": {"fdname": "1"}}@', [fd]),
  // with unread commands, each with an fd, behind one that is not whole
  (client, fd) => {
    for (let count = 0; count < 30; count++) client.send('{"execute": "query-version"}', [fd]);
    client.send('"', [fd]);
  },
  // with garbage
  (client, fd) => client.send('\xff\xfe}]{"', [fd]),
  // with the end of the sending direction first
  async (client, fd) => {
    client.send('{"execute": "nope"}', [fd]);
    client.shutdown();
    await client.readEnd();
  },
];

test('connections leave no fd and no memory behind, however they end', { timeout: 600_000 }, async (context) => {
  const server = await ServerUnderTest.start({ scenario: '', server: 'storage-daemon' }, ownServer, listeningSocket);
  const path = server.sockets[0] ?? '';
  const fd = openSync('/dev/null', 'r');
  const connections = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const client = await cycle(path, fd);
      await ENDINGS[index % ENDINGS.length]?.(client, fd);
      client.close();
    }
  };
  try {
    await connections(2 * ENDINGS.length);
    const fdsBefore = await settledFds(server.pid, path);
    const memoryAtFirst = residentMemory(server.pid);
    const start = performance.now();
    await connections(CONNECTIONS / 2);
    const memoryBefore = residentMemory(server.pid);
    await connections(CONNECTIONS / 2);
    const seconds = (performance.now() - start) / 1000;
    const memoryAfter = residentMemory(server.pid);
    const growth = memoryAfter - memoryBefore;
    const fdsAfter = await settledFds(server.pid, path);
    const memory = [memoryAtFirst, memoryBefore, memoryAfter].map((bytes) => (bytes / MIB).toFixed(1)).join(', ');
    context.diagnostic(
      `${CONNECTIONS} connections, ${seconds.toFixed(1)} s: fds ${fdsBefore}, ${fdsAfter}; MiB ${memory}`,
    );
    assert.equal(fdsAfter, fdsBefore);
    assert.ok(growth < 24 * MIB, `the server has grown by ${Math.round(growth / MIB)} MiB`);
  } finally {
    closeSync(fd);
    await server.stop();
  }
});

/** Connects, negotiates, adds an fd and removes it. */
async function cycle(path: string, fd: number): Promise<QmpConnection> {
  const client = await QmpConnection.open(path);
  await client.read(1);
  client.send('{"execute": "qmp_capabilities"}');
  await client.read(1);
  client.send('{"execute": "add-fd", "arguments": {"fdset-id": 1}}', [fd]);
  assert.match(await client.read(1), /^\{"return": \{"fd": \d+, "fdset-id": 1\}\}/);
  client.send('{"execute": "remove-fd", "arguments": {"fdset-id": 1}}');
  assert.equal(await client.read(1), '{"return": {}}\r\n');
  return client;
}

/** The open fds of the server with one client connected, once the one before has been noticed to be gone. */
async function settledFds(pid: number, path: string): Promise<number> {
  const client = await cycle(path, 0);
  await sleep(50);
  const count = readdirSync(`/proc/${pid}/fd`).length;
  client.close();
  return count;
}

function residentMemory(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}
