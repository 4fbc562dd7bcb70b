import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { suite, test } from 'node:test';

import { socketPair } from '../../src/addon/index.ts';
import { NbdClient, NbdServer } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { hex } from './hex.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect } from './serve.ts';

checkOpenFds();

for (const structuredReplies of [true, false]) {
  test(`a client writes and reads back, structured replies ${structuredReplies ? 'on' : 'off'}`, async () => {
    const disk = new MemoryDisk(1 << 20);
    const server = new NbdServer();
    server.addExport({ name: 'disk', writable: true, backend: disk, description: 'a disk' });
    const client = await connect(server, { exportName: 'disk', structuredReplies });
    assert.equal(client.size, 1 << 20);
    assert.equal(client.description, 'a disk');
    assert.equal(client.flags, 3437 | (structuredReplies ? 0x80 : 0));
    await client.write(5, Buffer.from('hello'), { fua: true });
    assert.equal((await client.read(4, 7)).toString('latin1'), '\0hello\0');
    assert.ok((await client.read(0, 1 << 20)).equals(disk.bytes));
    await client.writeZeroes(6, 2);
    await client.trim(4096, 4096);
    await client.flush();
    await client.cache(0, 4096);
    assert.equal((await client.read(4, 7)).toString('latin1'), '\0h\0\0lo\0');
    if (structuredReplies) {
      assert.deepEqual(await client.blockStatus(0, 1 << 20), [
        { length: 4096, hole: false, zero: false },
        { length: (1 << 20) - 4096, hole: true, zero: true },
      ]);
    }
    await client.disconnect();
    await server.stop();
  });
}

/** A server that says exactly this, whatever it is asked. */
async function lie(text: string | Buffer, use: (client: Promise<NbdClient>) => Promise<void>): Promise<void> {
  const [ours, theirs] = socketPair();
  const server = new Socket({ fd: theirs, readable: true, writable: true });
  server.on('error', () => {});
  server.resume();
  server.write(typeof text === 'string' ? hex(text) : text);
  const client = NbdClient.connect(
    { socket: new Socket({ fd: ours, readable: true, writable: true }) },
    { timeoutMs: 200 },
  );
  try {
    await use(client);
  } finally {
    const connected = await client.catch(() => undefined);
    connected?.destroy();
    server.destroy();
  }
}

const REP = '0003e889045565a9';
const GREETING = "'NBDMAGICIHAVEOPT' 0003";
const STRUCTURED = `${GREETING} ${REP} 00000008 00000001 00000000`;
const CONTEXT = `${STRUCTURED} ${REP} 0000000a 00000004 00000013 00000000 'base:allocation' ${REP} 0000000a 00000001 00000000`;
const EXPORT = `${REP} 00000007 00000003 0000000c 0000 0000000000100000 0d6d`;
const SESSION = `${CONTEXT} ${EXPORT} ${REP} 00000007 00000001 00000000`;
const CHUNK = '668e33ef';
const FIRST = '0000000000000001';

suite('a server that breaks the handshake is refused', () => {
  for (const [what, says, message] of [
    ['speaks another protocol', "'SSH-2.0-OpenSSH_9.2p1 Debian'", /no newstyle/],
    ['is oldstyle', "'NBDMAGIC' 00420281861253 0000000000000000", /no newstyle/],
    ['is not fixed', "'NBDMAGICIHAVEOPT' 0000", /fixed newstyle/],
    ['says nothing', '', /no NBD handshake within 200 ms/],
    ['answers with a bad magic', `${GREETING} ${'00'.repeat(20)}`, /bad magic/],
    ['answers another option', `${GREETING} ${REP} 00000009 00000001 00000000`, /not sent/],
    ['announces a long answer', `${GREETING} ${REP} 00000008 00000001 7fffffff`, /bytes/],
    ['selects another context', `${STRUCTURED} ${REP} 0000000a 00000004 00000009 00000000 'base:'`, /nobody asked/],
    ['does not tell the size', `${CONTEXT} ${REP} 00000007 00000001 00000000`, /size/],
    ['has an export of 2^63 bytes', `${CONTEXT} ${REP} 00000007 00000003 0000000c 0000 8000000000000000 0001`, /large/],
    [
      'has odd block sizes',
      `${CONTEXT} ${REP} 00000007 00000003 0000000e 0003 00000003 00001000 02000000`,
      /block sizes/,
    ],
  ] as const) {
    test(`it ${what}`, () =>
      lie(says, (client) => assert.rejects(client, { code: 'ERR_FDSET_NBD_PROTOCOL', message })));
  }

  test('it refuses the export', () =>
    lie(`${CONTEXT} ${REP} 00000007 80000006 00000004 'nope'`, (client) =>
      assert.rejects(client, { code: 'ERR_FDSET_NBD_REPLY', value: 0x80000006, serverText: 'nope' }),
    ));

  test('there is none', () =>
    assert.rejects(NbdClient.connect({ path: '/nonexistent/nbd.sock' }), { message: /ENOENT/ }));
});

suite('a server that breaks the transmission phase is refused', () => {
  const reads = (says: string, message: RegExp) =>
    lie(SESSION + says, async (client) => {
      await assert.rejects((await client).read(0x100, 16), { code: 'ERR_FDSET_NBD_PROTOCOL', message });
      await assert.rejects((await client).flush(), { message }, 'the client is of no more use');
    });
  const data = (flags: string, offset: string, text: string) =>
    `${CHUNK} ${flags} 0001 ${FIRST} ${(8 + hex(text).length).toString(16).padStart(8, '0')} ${offset} ${text}`;

  for (const [what, says, message] of [
    ['a bad magic', '00000000', /bad magic/],
    ['a cookie of no request', `67446698 00000000 0000000000000007`, /not under way/],
    ['a simple reply to a read', `67446698 00000000 ${FIRST}`, /simple reply to read/],
    ['data before the range', data('0001', '00000000000000ff', "'0123456789abcdef'"), /outside/],
    ['data behind the range', data('0001', '0000000000000101', "'0123456789abcdef'"), /outside/],
    ['too little data', data('0001', '0000000000000100', "'0123456789abcde'"), /15 bytes where 16/],
    ['data twice', data('0000', '0000000000000100', "'01'") + data('0001', '0000000000000101', "'12'"), /twice/],
    [
      'a hole over data',
      data('0000', '0000000000000100', "'01'") + `${CHUNK} 0001 0002 ${FIRST} 0000000c 0000000000000100 00000010`,
      /twice/,
    ],
    ['a chunk without data', `${CHUNK} 0001 0001 ${FIRST} 00000008 0000000000000100`, /without data/],
    ['an empty hole', `${CHUNK} 0001 0002 ${FIRST} 0000000c 0000000000000100 00000000`, /empty hole/],
    ['block status', `${CHUNK} 0001 0005 ${FIRST} 0000000c 00000000 00000010 00000000`, /block status in reply/],
    ['an error without an error', `${CHUNK} 0001 8001 ${FIRST} 00000006 00000000 0000`, /without an error/],
    ['an error that is cut', `${CHUNK} 0001 8001 ${FIRST} 00000006 00000005 0001`, /too short/],
    ['unknown flags', `${CHUNK} 0003 0000 ${FIRST} 00000000`, /flags/],
    ['an unknown chunk', `${CHUNK} 0001 0009 ${FIRST} 00000000`, /chunk type 9/],
    ['a chunk of 4 GiB', `${CHUNK} 0001 0001 ${FIRST} ffffffff`, /4294967295/],
    ['nothing and done', `${CHUNK} 0001 0000 ${FIRST} 00000000`, /0 bytes where 16/],
  ] as const) {
    test(`it sends ${what}`, () => reads(says, message));
  }

  test('it tells block status beyond what was asked for, or of nothing', async () => {
    for (const [says, message] of [
      ['0000001c 00000000 00000010 00000000 00000001 00000000 00000001 00000000', /behind the end/],
      ['00000014 00000000 00000000 00000000 00000010 00000000', /empty extent/],
      ['0000000c 00000001 00000010 00000000', /another context/],
      ['00000004 00000000', /wrong length/],
    ] as const) {
      await lie(`${SESSION} ${CHUNK} 0001 0005 ${FIRST} ${says}`, async (client) => {
        await assert.rejects((await client).blockStatus(0, 16), { message });
      });
    }
  });

  test('an error of the server rejects that request only', () =>
    lie(
      `${SESSION} ${CHUNK} 0001 8001 ${FIRST} 0000000a 00000005 0004 'fire' 67446698 00000000 0000000000000002`,
      async (connecting) => {
        const client = await connecting;
        const failing = assert.rejects(client.read(0, 16), {
          value: 5,
          serverText: 'fire',
          message: 'read: EIO: fire',
        });
        await client.flush();
        await failing;
      },
    ));
});

test('a request after the end, and a second disconnect, do no harm', async () => {
  const server = new NbdServer();
  server.addExport({ name: '', backend: new MemoryDisk(512) });
  const client = await connect(server);
  await client.disconnect();
  await client.disconnect();
  client.destroy();
  await assert.rejects(client.read(0, 1), { code: 'ERR_FDSET_NBD_PROTOCOL' });
  await server.stop();
});

test('errors of the server name what failed', async () => {
  const server = new NbdServer();
  server.addExport({ name: '', backend: new MemoryDisk(512) });
  const client = await connect(server);
  await assert.rejects(client.write(0, Buffer.alloc(1)), { message: 'write: EINVAL: export is read-only', value: 22 });
  await assert.rejects(client.read(512, 1), { message: 'read: EINVAL: operation past the end of the export' });
  await client.disconnect();
  await server.stop();
});
