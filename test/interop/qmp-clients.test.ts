// QMP clients that nobody here wrote with this server in mind: Python as QEMU's own library uses it, socat. Whatever they
// send, our storage daemon and a real QEMU say the same, byte for byte but for numbers, times and the version.
//
// The QEMU here may be 7.2, stopped: there a removed fd stays listed (docs/reference/fdset.md section 4), so that a scene
// looks at its sets before it removes anything. Each scene has a fresh QEMU.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { temporaryFolder } from '../temporary-folder.ts';
import { DaemonUnderTest, withDaemon } from '../daemon/daemon-under-test.ts';
import { checkOpenFds } from '../open-fds.ts';
import { emulator, startQemu } from '../qemu-process.ts';
import { missing, run, succeed } from '../programs.ts';

checkOpenFds();

const folder = temporaryFolder();
const clients = findSource('test/interop/qmp-clients.py');
const noEmulator = missing(emulator);
let sockets = 0;

function findSource(path: string): string {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package.json'))) at = dirname(at);
  return join(at, path);
}

/** What differs between servers that behave the same: numbers of fds and the version. */
function neutral(output: string): string {
  return output
    .replace(/\{"QMP": \{"version": \{"qemu": \{.*?\}, "package": ".*?"\}/g, '{"QMP": {"version": VERSION')
    .replace(/"fd": \d+/g, '"fd": N');
}

/** Runs `talk` with a fresh QEMU where there is one; undefined where there is none. */
async function withQemu(talk: (socket: string) => Promise<string>): Promise<string | undefined> {
  if (noEmulator !== false) return undefined;
  const socket = join(folder, `qemu${sockets++}.sock`);
  const qemu = await startQemu(socket);
  try {
    return await talk(socket);
  } finally {
    await qemu.end();
  }
}

/** What our daemon says, which is also what QEMU says. */
async function same(talk: (socket: string) => Promise<string>): Promise<string> {
  let ours = '';
  await withDaemon(folder, async (daemon: DaemonUnderTest) => {
    ours = neutral(await talk(daemon.qmp));
    const client = await daemon.client();
    for (const set of (await client.execute('query-fdsets')) as { 'fdset-id': number }[]) {
      await client.execute('remove-fd', { 'fdset-id': set['fdset-id'] });
    }
  });
  const theirs = await withQemu(talk);
  if (theirs !== undefined) assert.equal(ours, neutral(theirs));
  return ours;
}

const scenes: [string, string, RegExp][] = [
  ['lone_space', 'that sends each fd with a lone space', /("fd": N\}?,? ?\{?){3}/],
  ['no_newline', 'that sends no newline', /"id": 12345678901234567890/],
  ['byte_by_byte', 'that sends byte by byte, the fd in the middle', /"opaque": "slow"/],
  ['eight_at_once', 'that sends eight commands at once, each with its fd', /"id": 7\}/],
  ['eight_with_spaces', 'that sends eight spaces with fds and a command after each', /"fdset-id": 7/],
  ['every_other', 'that sends eight commands at once, every other with an fd', /No file descriptor supplied/],
  ['too_many', 'that sends more fds than a command takes', /"return": \{\}/],
  ['replaced', 'whose fds replace each other, and whose commands fail', /expects a non-negative value/],
  ['odd_files', 'that passes files of every kind', /"fdset-id": 6/],
  ['half_closed', 'that ends its sending direction', /"return": \[\]/],
];

for (const [scene, what, contains] of scenes) {
  test(`a Python client ${what} is answered as by QEMU`, { skip: missing('python3') }, async () => {
    const said = await same((socket) => succeed('python3', [clients, socket, scene]));
    assert.match(said, contains);
  });
}

const lines = [
  '{"execute": "qmp_capabilities"}',
  '{"execute": "query-fdsets", "id": 1}',
  '{"execute": "add-fd", "id": "none"}{"execute": "add-fd", "arguments": {"fdset-id": -1}}',
  '  {"execute" : "getfd" , "arguments" : {"fdname": "a"}}',
  "{'execute': 'closefd', 'arguments': {'fdname': 'a'}}",
  '{"execute": "remove-fd", "arguments": {"fdset-id": 0}}',
  '{"execute": "qmp_capabilities"}',
  '{"execute": "query-fdsets", "exec-oob": "x"}',
  'hello',
  '{"execute": 1}',
  '{"execute": "query-fdsets", "id": {"z": [], "a": 1e3}}',
];

for (const [name, separator] of [
  ['lines', '\n'],
  ['CR LF', '\r\n'],
  ['nothing at all', ''],
] as const) {
  test(`socat sends pipelined commands with ${name} between them`, { skip: missing('socat', '-V') }, async () => {
    const said = await same(async (socket) => {
      // -t: how long it reads on after its input has ended; QEMU closes then.
      const { stdout } = await run('socat', ['-t', '5', '-', `UNIX-CONNECT:${socket}`], lines.join(separator));
      return stdout;
    });
    assert.match(said, /No file descriptor supplied via SCM_RIGHTS/);
  });
}
