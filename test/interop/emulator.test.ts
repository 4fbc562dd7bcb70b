// What QEMU's own tests look at, in our own words: an emulator is started as iotest 045 and qmp-test start theirs, over
// sockets that are connected from its side, and heard. Ours (emulator/main.ts) and QEMU 10.0 say the same.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { socketPair } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { qemu10 } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();

const folder = temporaryFolder();
const ours = [process.execPath, fileURLToPath(new URL('emulator/main.js', import.meta.url))];
const theirs = [...(qemu10.missing === false ? qemu10.command('qemu-system-x86_64') : [])];

/** An emulator whose QMP and qtest sockets are pairs that it inherits; `fds` come after them, from number 5 on. */
async function withEmulator(
  command: readonly string[],
  args: readonly string[],
  fds: readonly number[],
  talk: (qmp: QmpConnection) => Promise<string>,
): Promise<string> {
  const [own, mine] = socketPair();
  const [ownQtest, myQtest] = socketPair();
  const sockets = ['-chardev', 'socket,id=mon,fd=3', '-mon', 'chardev=mon,mode=control'];
  const qtest = ['-chardev', 'socket,id=qtest,fd=4', '-qtest', 'chardev:qtest', '-qtest-log', '/dev/null'];
  const all = ['-display', 'none', '-vga', 'none', ...sockets, ...qtest, '-nodefaults', '-machine', 'none', ...args];
  const [program = '', ...first] = command;
  const child = spawn(program, [...first, ...all], { stdio: ['ignore', 'ignore', 'inherit', own, ownQtest, ...fds] });
  for (const fd of [own, ownQtest, ...fds]) closeSync(fd);
  const qmp = QmpConnection.over(new OwnedFd(mine));
  try {
    return await talk(qmp);
  } finally {
    qmp.close();
    closeSync(myQtest);
    child.kill('SIGKILL');
    await once(child, 'close');
  }
}

/** The messages that answer `text`, without what differs between programs that behave the same. */
async function ask(qmp: QmpConnection, text: string | Uint8Array, count = 1): Promise<string> {
  qmp.send(text);
  return neutral(await qmp.read(count));
}

function neutral(said: string): string {
  return said
    .replaceAll(/"fd": \d+/g, '"fd": N')
    .replaceAll(/fd:(?!999)\d+/g, 'fd:N')
    .replaceAll(/"package": "[^"]*"/g, '"package": P')
    .replaceAll(/"timestamp": \{[^}]*\}/g, '"timestamp": T');
}

async function greet(qmp: QmpConnection, enable = ''): Promise<string> {
  const greeting = neutral(await qmp.read(1));
  return greeting + (await ask(qmp, `{"execute": "qmp_capabilities"${enable}}`));
}

function image(name: string, flags: string): number {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(4096));
  return openSync(path, flags);
}

type Scene = (command: readonly string[]) => Promise<string>;

const setsOfTheCommandLine: Scene = (command) => {
  const opened = ['r', 'r+', 'r', 'r', 'r'].map((flags, index) => image(`image${index}`, flags));
  const places = ['fd=5,set=1,opaque=a:r', 'fd=6,set=1,opaque=a:rw', 'fd=7,set=0', 'fd=8,set=2,opaque=b', 'fd=9,set=2'];
  const options = places.flatMap((place) => ['-add-fd', place]);
  const drive = ['-drive', 'if=none,id=drive0,file=/dev/fdset/1,format=raw,cache=writeback,aio=threads'];
  return withEmulator(command, [...options, ...drive], opened, async (qmp) => {
    let said = await greet(qmp);
    said += await ask(qmp, '{"execute": "query-fdsets"}');
    said += await ask(qmp, '{"execute": "remove-fd", "arguments": {"fdset-id": 2, "fd": 999}}');
    said += await ask(qmp, '{"execute": "remove-fd", "arguments": {"fdset-id": 3}}');
    said += await ask(qmp, '{"execute": "add-fd", "arguments": {"fdset-id": 2}}');
    qmp.send('{"execute": "query-fdsets"}');
    const [set] = (JSON.parse(await qmp.read(1)) as { return: { fds: { fd: number }[] }[] }).return;
    const first = set!.fds[0]!.fd;
    said += await ask(qmp, `{"execute": "remove-fd", "arguments": {"fdset-id": 2, "fd": ${first}}}`);
    said += await ask(qmp, `{"execute": "remove-fd", "arguments": {"fdset-id": 3, "fd": ${first}}}`);
    said += await ask(qmp, '{"execute": "remove-fd", "arguments": {"fdset-id": 1}}');
    return said + (await ask(qmp, '{"execute": "query-fdsets"}'));
  });
};

const junk: (string | Uint8Array)[] = [
  '{]\n',
  Buffer.from('{\xff', 'latin1'),
  '{\x01',
  Buffer.from("{'bad \xff", 'latin1'),
  "{'execute': 'nonexistent', 'id':'\n",
  '%p',
  'null\n',
  '{}',
  "{'execute': true}",
  "{'execute': 'no-such-cmd', 'arguments': []}",
  "{'execute': 'no-such-cmd', 'extra': true}",
];

/** After each piece of junk a command is understood again. */
async function recover(qmp: QmpConnection): Promise<string> {
  let said = '';
  for (const each of junk) {
    said += await ask(qmp, each);
    said += await ask(qmp, "{'execute': 'no-such-cmd'}\n");
  }
  return said;
}

const junkBeforeAndAfterNegotiation: Scene = (command) =>
  withEmulator(command, [], [], async (qmp) => {
    let said = neutral(await qmp.read(1));
    said += await ask(qmp, "{'execute': 'query-version'}");
    said += await recover(qmp);
    said += await ask(qmp, "{'execute': 'qmp_capabilities'}");
    said += await ask(qmp, "{'execute': 'qmp_capabilities'}");
    said += await ask(qmp, "{'execute': 'query-version'}");
    said += await recover(qmp);
    said += await ask(qmp, "{'execute': 'query-name', 'id': 'cookie#1'}");
    said += await ask(qmp, "{'execute': 'human-monitor-command', 'id': 2}");
    return said + (await ask(qmp, "{'execute': 'qom-set', 'arguments': {'path': '/x', 'property': 'y'}}"));
  });

let fifos = 0;

const overtaking: Scene = (command) =>
  withEmulator(command, [], [], async (qmp) => {
    const fifo = join(folder, `fifo${fifos++}`);
    execFileSync('mkfifo', [fifo]);
    const slow = (id: string): string =>
      `{"execute": "blockdev-add", "id": "${id}", "arguments": {"driver": "blkdebug", "node-name": "${id}",` +
      ` "config": "${fifo}", "image": {"driver": "null-co", "read-zeroes": true}}}`;
    let said = await greet(qmp, ', "arguments": {"enable": ["oob"]}');
    said += await ask(qmp, '{"exec-oob": "query-cpus-fast"}');
    qmp.send(slow('slow-1') + '{"execute": "query-name", "id": "quick"}');
    said += withoutText(await ask(qmp, '{"exec-oob": "migrate-pause", "id": "urgent"}'));
    await unblock(fifo);
    said += neutral(await qmp.read(2));
    qmp.send(slow('slow-2') + '{"id": "nothing to execute"}');
    await unblock(fifo);
    return said + neutral(await qmp.read(2));
  });

/** Why there is nothing to pause is the machine's to say. */
function withoutText(said: string): string {
  return said.replace(/"desc": ".*?"/, '"desc": TEXT');
}

/** Opens a FIFO once somebody reads it, and closes it again. */
async function unblock(fifo: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO' || tries === 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const preconfig: Scene = (command) =>
  withEmulator(command, ['--preconfig'], [], async (qmp) => {
    let said = await greet(qmp);
    for (const name of ['query-cpus-fast', 'query-status'])
      said += withoutText(await ask(qmp, `{"execute": "${name}"}`));
    said += await ask(qmp, '{"execute": "x-exit-preconfig"}', 2);
    for (const name of ['query-status', 'x-exit-preconfig', 'query-cpus-fast']) {
      said += withoutText(await ask(qmp, `{"execute": "${name}"}`));
    }
    return said;
  });

const scenes: [string, Scene, RegExp][] = [
  [
    'lists and empties the sets of its command line',
    setsOfTheCommandLine,
    /No file descriptor supplied via SCM_RIGHTS/,
  ],
  ['understands the next command after any junk', junkBeforeAndAfterNegotiation, /"id": "cookie#1"/],
  ['lets an out-of-band command overtake a slow one, and only that', overtaking, /"id": "nothing to execute"/],
  ['waits for its configuration to end', preconfig, /RESUME/],
];

for (const [what, scene, contains] of scenes) {
  suite(`an emulator ${what}`, () => {
    test('ours', async () => {
      assert.match(await scene(ours), contains);
    });

    test('as QEMU 10.0', { skip: qemu10.missing }, async () => {
      assert.equal(await scene(ours), await scene(theirs));
    });
  });
}
