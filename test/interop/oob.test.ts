// Out-of-band execution: the same dialogue with QEMU 10.0 and with ours. A device that waits for its first client is the
// slow command, yank the urgent one.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { OwnedFd } from '../../src/fds/index.ts';
import { connectUnix } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10 } from '../qemu-versions.ts';
import { compare, type Conversation } from './chardev-dialogue.ts';

checkOpenFds();

const SILENCE = 200;
const withOob = '{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}';

/** Does not return before {@link release}. */
function slow(talk: Conversation, name = 'w'): string {
  const backend = { type: 'socket', data: { addr: { type: 'unix', data: { path: talk.path(name) } }, wait: true } };
  return JSON.stringify({ execute: 'chardev-add', arguments: { id: name, backend }, id: 'slow' });
}

async function release(talk: Conversation, name = 'w'): Promise<OwnedFd> {
  return connectUnix(talk.path(name));
}

function queries(from: number, to: number): string {
  let text = '';
  for (let id = from; id <= to; id++) text += `{"execute": "query-fdsets", "id": ${id}}`;
  return text;
}

/** Nothing comes. */
async function silence(talk: Conversation): Promise<void> {
  await sleep(SILENCE);
  assert.deepEqual(talk.connection.take(), []);
}

suite('out of band, as QEMU does it', { skip: qemu10.missing }, () => {
  test('an urgent command overtakes the slow one and what waits; its errors do, too', async () => {
    const { ours, theirs } = await compare(
      'qemu-system-x86_64',
      async (talk) => {
        talk.connection.send(`${slow(talk)}${queries(1, 1)}`);
        await silence(talk);
        await talk.ask('{"exec-oob": "query-yank", "id": "oob"}');
        await talk.ask('{"exec-oob": "query-fdsets", "id": "x"}');
        await talk.ask('{"exec-oob": "nope", "id": "y"}');
        await talk.ask('{"exec-oob": "query-yank", "bogus": 1, "id": "z"}');
        await talk.ask('{"exec-oob": "yank", "id": "v", "arguments": {"instances": [{"type": "chardev", "id": "q"}]}}');
        talk.connection.send('{"execute": "nope", "id": "in-band error"}');
        talk.connection.send('{"execute": "query-yank", "exec-oob": "query-yank", "id": "both"}{"id": "none"}{]');
        await silence(talk);
        const client = await release(talk);
        await talk.hear(6);
        client.close();
      },
      [],
      withOob,
    );
    assert.deepEqual(ours, theirs);
  });

  test('behind eight requests that wait nothing is read, and then everything', async () => {
    const { ours, theirs } = await compare(
      'qemu-system-x86_64',
      async (talk) => {
        talk.connection.send(`${slow(talk)}${queries(1, 7)}`);
        await silence(talk);
        await talk.ask('{"exec-oob": "query-yank", "id": "seven wait"}');
        talk.connection.send(queries(8, 8));
        await silence(talk);
        talk.connection.send('{"exec-oob": "query-yank", "id": "not read"}');
        await silence(talk);
        const client = await release(talk);
        const replies = (await talk.connection.read(10)).split('\r\n');
        // When the last is read, and so what it overtakes, is a race of QEMU's threads.
        talk.said.push(replies[0]!, ...replies.slice(1).sort());
        await talk.ask('{"execute": "query-fdsets", "id": "on it goes"}');
        client.close();
      },
      [],
      withOob,
    );
    assert.deepEqual(ours, theirs);
  });

  test('without the capability everything waits for the slow command', async () => {
    const { ours, theirs } = await compare('qemu-system-x86_64', async (talk) => {
      talk.connection.send(`${slow(talk)}${queries(1, 12)}{"exec-oob": "query-yank", "id": "refused"}`);
      await silence(talk);
      const client = await release(talk);
      await talk.hear(14);
      client.close();
    });
    assert.deepEqual(ours, theirs);
  });

  test('a capability is asked for once, and what is none is refused', async () => {
    const { ours, theirs } = await compare(
      'qemu-system-x86_64',
      async (talk) => {
        await talk.ask('{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}');
        await talk.ask('{"exec-oob": "qmp_capabilities", "arguments": {"enable": ["oob"]}}');
        await talk.ask('{"execute": "qmp_capabilities", "arguments": {"enable": ["no"]}}');
      },
      [],
      '{"execute": "qmp_capabilities", "arguments": {"enable": ["oob", "oob"]}}',
    );
    assert.deepEqual(ours, theirs);
  });
});
