// An emulator without a machine, for other people's tests: started instead of qemu-system-x86_64, with its command line.
//
// QEMU's own tests (iotest 045, tests/qtest/qmp-test) run against it with only the program's name changed: CONTRIBUTING.md
// says how. Monitor, fd sets and block layer are those of the storage daemon; the rest is what such a test looks at: a run
// state, a handful of commands, a qtest socket that says yes, and a driver `blkdebug` that waits for its configuration.
import { pathToFileURL } from 'node:url';

import type { CharFrontend, Chardev } from '../../../src/chardev/index.ts';
import { applyOption } from '../../../src/daemon/apply-option.ts';
import { InheritedFds } from '../../../src/daemon/inherited-fds.ts';
import { enterSandbox } from '../../../src/daemon/sandbox.ts';
import { StorageDaemon } from '../../../src/daemon/storage-daemon.ts';
import { listInheritedFds, type OwnedFd } from '../../../src/fds/index.ts';
import { PROFILE_10_0 } from '../../../src/monitor/index.ts';
import { connectUnix, openChannel } from '../../../src/socket/index.ts';
import { addBlkdebug } from './blkdebug.ts';
import { Machine } from './machine.ts';
import { parseEmulatorLine, type EmulatorOption } from './options.ts';
import { answerQtest } from './qtest.ts';

/** What the tests ask a program for before they use it. */
const help: Readonly<Record<string, string>> = {
  'device help': 'name "virtio-blk", bus virtio-bus\n',
  'drive format=help': 'Supported formats: file host_device null-co raw\nSupported formats (read-only):\n',
};

/** A socket that is connected from the start, or connects itself. */
class ConnectedChardev implements Chardev {
  readonly id: string;
  /** Whoever uses the device owns it. */
  readonly fd: Promise<OwnedFd>;

  constructor(id: string, fd: Promise<OwnedFd>) {
    this.id = id;
    this.fd = fd;
  }

  attach(frontend: CharFrontend): void {
    void this.fd.then((fd) => frontend.connected((handlers) => openChannel(fd, handlers)));
  }

  close(): void {
    // What is connected is the frontend's.
  }
}

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
    onQuit: end,
  });
  new Machine(
    daemon,
    line.some(({ name }) => name === 'preconfig'),
    line.some(({ name }) => name === 'S'),
  );
  for (const option of line) await carryOut(daemon, option);
  daemon.inheritedFds.close();
  await ended;
  await daemon.stop();
}

async function carryOut(daemon: StorageDaemon, { name, value }: EmulatorOption): Promise<void> {
  const text = `-${name} ${value}`;
  const members = membersOf(value);
  switch (name) {
    case 'chardev':
      if (members.get('server') === 'on') return applyOption(daemon, { name, value, text });
      return connectChardev(daemon, members);
    case 'qmp': {
      const path = value.slice('unix:'.length);
      await applyOption(daemon, { name: 'chardev', value: `socket,id=qmp,path=${path}`, text });
      return applyOption(daemon, { name: 'monitor', value: 'chardev=qmp', text });
    }
    case 'mon':
      return applyOption(daemon, { name: 'monitor', value, text });
    case 'add-fd':
    case 'blockdev':
    case 'object':
      return applyOption(daemon, { name, value, text });
    case 'drive':
      return addDrive(daemon, members);
    case 'qtest':
      return startQtest(daemon, value);
  }
}

/** `unix:PATH` to connect to, or `chardev:ID`. */
async function startQtest(daemon: StorageDaemon, where: string): Promise<void> {
  if (where.startsWith('unix:')) return answerQtest(where.slice('unix:'.length));
  const chardev = daemon.chardevs.get(where.slice('chardev:'.length)) as ConnectedChardev;
  answerQtest(await chardev.fd);
}

function connectChardev(daemon: StorageDaemon, members: ReadonlyMap<string, string>): void {
  const id = members.get('id') ?? '';
  const number = members.get('fd');
  const fd = number === undefined ? connectUnix(members.get('path') ?? '') : daemon.inheritedFds.take(Number(number));
  daemon.chardevs.set(id, new ConnectedChardev(id, Promise.resolve(fd)));
}

/** The node of a drive; the device that it belongs to is left out. */
async function addDrive(daemon: StorageDaemon, members: ReadonlyMap<string, string>): Promise<void> {
  const filename = members.get('file');
  if (filename === undefined) return;
  await daemon.graph.blockdevAdd({ driver: 'file', 'node-name': members.get('id') ?? 'drive', filename } as never);
}

function membersOf(value: string): Map<string, string> {
  return new Map(value.split(',').map((part) => [part.split('=', 1)[0]!, part.slice(part.indexOf('=') + 1)]));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await emulate(process.argv.slice(2));
  process.exit(0);
}
