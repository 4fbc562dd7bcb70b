// Sockets used in ways that no client should: urgent bytes, fds in odd places, half-closed connections, other protocols.
// Our storage daemon says what QEMU says, and has as many fds open as before.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { checkOpenFds } from '../open-fds.ts';
import { type QemuVersion, qemuVersions } from '../qemu-versions.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';
import { ownServer, root } from '../transcripts/own-server.ts';
import { ServerUnderTest } from '../transcripts/server.ts';
import { missing, succeed } from '../programs.ts';

checkOpenFds();

const clients = join(root, 'test', 'interop', 'odd-clients.py');
const scenes = [...readFileSync(clients, 'utf8').matchAll(/^def (\w+)\(\):$/gm)].map(([, name]) => name!);

/** What differs between servers that behave the same. */
function neutral(said: string): string {
  return said
    .replaceAll(/"fd": \d+/g, '"fd": N')
    .replaceAll(/(\{"QMP": \{"version": )\{"qemu": \{[^}]*\}, "package": "[^"]*"\}/g, '$1VERSION');
}

function start(command: readonly string[]): Promise<ServerUnderTest> {
  return ServerUnderTest.start({ scenario: 'odd clients', server: 'system' }, command, listeningSocket);
}

function startQemu(qemu: QemuVersion): Promise<ServerUnderTest> {
  return start([...qemu.command('qemu-system-x86_64'), '-machine', 'none', '-nodefaults', '-display', 'none']);
}

function fdCount({ pid }: ServerUnderTest): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

for (const qemu of qemuVersions) {
  suite(`as QEMU ${qemu.name}`, { skip: missing('python3') || qemu.missing }, () => {
    let ours: ServerUnderTest;
    let theirs: ServerUnderTest;
    let atStart = 0;

    before(async () => {
      ours = await start([...ownServer, '--compat', `qemu-${qemu.name}`]);
      theirs = await startQemu(qemu);
      await sleep(400); // a client that comes at once is greeted twice by QEMU
      await succeed('python3', [clients, ours.sockets[0]!, 'ids']);
      atStart = fdCount(ours);
    });

    after(async () => {
      await ours?.stop();
      await theirs?.stop();
    });

    for (const scene of scenes) {
      test(scene.replaceAll('_', ' '), async () => {
        const own = await succeed('python3', [clients, ours.sockets[0]!, scene]);
        const their = await succeed('python3', [clients, theirs.sockets[0]!, scene]);
        assert.equal(neutral(own), neutral(their));
        assert.notEqual(own, '');
      });
    }

    test('no fd is left behind', async () => {
      for (let tries = 0; tries < 100 && fdCount(ours) > atStart; tries++) await sleep(20);
      assert.ok(fdCount(ours) <= atStart, `${fdCount(ours)} fds are open, ${atStart} were`);
    });
  });
}
