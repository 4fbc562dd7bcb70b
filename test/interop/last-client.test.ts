// When has the last client left? QEMU 7.2 closes unused fds then, so it must be over when the client sees its connection
// close: whoever connects next would be counted, too. On QEMU and on ours.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { qemu7 } from '../qemu-versions.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';
import { ownServer } from '../transcripts/own-server.ts';
import { ServerUnderTest } from '../transcripts/server.ts';

checkOpenFds();

async function connect(path: string): Promise<QmpConnection> {
  const connection = await QmpConnection.open(path);
  await connection.read(1);
  connection.send('{"execute": "qmp_capabilities"}');
  await connection.read(1);
  return connection;
}

async function leave(connection: QmpConnection): Promise<void> {
  connection.shutdown();
  await connection.readEnd();
  connection.close();
}

async function assertNothingIsLeft(command: readonly string[]): Promise<void> {
  const server = await ServerUnderTest.start({ scenario: '', server: 'system', monitors: 3 }, command, listeningSocket);
  const [one = '', other = '', next = ''] = server.sockets;
  const fd = openSync('/dev/null', 'r');
  try {
    await sleep(400); // QEMU greets twice who connects at once
    for (let round = 0; round < 20; round++) {
      const [hasty, last] = [await connect(one), await connect(other)];
      last.send('{"execute": "add-fd"}', [fd]);
      assert.match(await last.read(1), /"fdset-id": 0/);
      hasty.send(' ', [fd]);
      hasty.close();
      await leave(last);
      const newcomer = await connect(next);
      newcomer.send('{"execute": "query-fdsets"}');
      assert.equal(await newcomer.read(1), '{"return": []}\r\n');
      await leave(newcomer);
    }
  } finally {
    closeSync(fd);
    await server.stop();
  }
}

test('the sets of the last client of QEMU 7.2 are gone when its connection is closed', { skip: qemu7.missing }, () =>
  assertNothingIsLeft([...qemu7.command('qemu-system-x86_64'), '-machine', 'none', '-nodefaults', '-display', 'none']),
);

test('the sets of the last client are gone when its connection is closed', () =>
  assertNothingIsLeft([...ownServer, '--compat', 'qemu-7.2']));
