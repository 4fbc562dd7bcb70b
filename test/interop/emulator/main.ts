// An emulator without a machine, for other people's tests: started instead of qemu-system-x86_64, with its command line.
//
// QEMU's own tests (iotest 045, tests/qtest/qmp-test) run against it with only the program's name changed: CONTRIBUTING.md
// says how. Monitor, fd sets and block layer are those of the storage daemon; the rest is what such a test looks at: a run
// state, a handful of commands, a qtest socket that says yes, and a driver `blkdebug` that waits for its configuration.
import { pathToFileURL } from 'node:url';

import { applyOption } from '../../../src/daemon/apply-option.ts';
import { InheritedFds } from '../../../src/daemon/inherited-fds.ts';
import { ProgramMessages } from '../../../src/daemon/program-messages.ts';
import { enterSandbox } from '../../../src/daemon/sandbox.ts';
import { StorageDaemon } from '../../../src/daemon/storage-daemon.ts';
import { listInheritedFds } from '../../../src/fds/index.ts';
import { PROFILE_10_0 } from '../../../src/monitor/index.ts';
import { addBlkdebug } from './blkdebug.ts';
import { addMachine } from './machine.ts';
import { parseEmulatorLine, type EmulatorOption } from './options.ts';
import { answerQtest } from './qtest.ts';

/** What the tests ask a program for before they use it. */
const help: Readonly<Record<string, string>> = {
  'device help': 'name "virtio-blk", bus virtio-bus\n',
  'drive format=help': 'Supported formats: file host_device null-co raw\nSupported formats (read-only):\n',
};

const messages = new ProgramMessages('emulator');

type Line = readonly EmulatorOption[];

async function emulate(args: readonly string[]): Promise<void> {
  const line = parseEmulatorLine(args);
  const asked = line.map(({ name, value }) => help[`${name} ${value}`]).find((text) => text !== undefined);
  if (asked !== undefined) return void process.stdout.write(asked);
  listInheritedFds();
  addBlkdebug();
  let end!: () => void;
  const ended = new Promise<void>((resolve) => (end = resolve));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  const daemon = new StorageDaemon({
    profile: PROFILE_10_0,
    sandbox: (await enterSandbox(undefined)).report,
    inheritedFds: new InheritedFds(),
    accepts: () => true,
    report: (message) => console.error(message),
    onQuit: end,
  });
  addMachine(daemon, {
    preconfig: line.some(({ name }) => name === 'preconfig'),
    stopped: line.some(({ name }) => name === 'S'),
  });
  daemon.shared.dispatcher.hold(); // no command comes between two options
  for (const option of line) await carryOut(daemon, option, line);
  daemon.inheritedFds.close();
  daemon.shared.dispatcher.release();
  await ended;
  await daemon.stop();
}

async function carryOut(daemon: StorageDaemon, { name, value }: EmulatorOption, line: Line): Promise<void> {
  const text = `-${name} ${value}`;
  if (name === 'qmp') {
    const path = value.slice('unix:'.length);
    await applyOption(daemon, { name: 'chardev', value: `socket,id=qmp,path=${path}`, text }, messages);
    await applyOption(daemon, { name: 'monitor', value: 'chardev=qmp', text }, messages);
  } else if (name === 'drive') {
    await addDrive(daemon, membersOf(value));
  } else if (name === 'qtest') {
    startQtest(daemon, value, line);
  } else if (name === 'mon') {
    await applyOption(daemon, { name: 'monitor', value, text }, messages);
  } else if (name === 'add-fd' || name === 'blockdev' || name === 'object') {
    await applyOption(daemon, { name, value, text }, messages);
  } else if (name === 'chardev' && !isOfQtest(membersOf(value), line)) {
    await applyOption(daemon, { name, value, text }, messages);
  }
}

function isOfQtest(members: ReadonlyMap<string, string>, line: Line): boolean {
  return line.some(({ name, value }) => name === 'qtest' && value === `chardev:${members.get('id')}`);
}

/** `unix:PATH` to connect to, or `chardev:ID`, a socket that is inherited. */
function startQtest({ inheritedFds }: StorageDaemon, where: string, line: Line): void {
  if (where.startsWith('unix:')) return answerQtest(where.slice('unix:'.length));
  const chardevs = line.filter(({ name }) => name === 'chardev').map(({ value }) => membersOf(value));
  const chardev = chardevs.find((members) => where === `chardev:${members.get('id')}`);
  answerQtest(inheritedFds.take(Number(chardev?.get('fd'))));
}

/** The node of a drive; the device that it belongs to is left out. */
async function addDrive(daemon: StorageDaemon, members: ReadonlyMap<string, string>): Promise<void> {
  const filename = members.get('file');
  if (filename === undefined) return;
  await daemon.graph.blockdevAdd({ driver: 'file', 'node-name': members.get('id') ?? 'drive', filename });
}

function membersOf(value: string): Map<string, string> {
  return new Map(value.split(',').map((part) => [part.split('=', 1)[0]!, part.slice(part.indexOf('=') + 1)]));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await emulate(process.argv.slice(2));
  process.exit(0);
}
