import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { pipe } from '../../src/addon/index.ts';
import { CharacterDevices, type CharFrontend, reconnectDelay } from '../../src/chardev/index.ts';
import { SocketClientChardev } from '../../src/chardev/socket-client.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { type Channel, type Listener, listenUnix, openChannel } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

/** Sends a byte to whomever it is connected with, and remembers the channels. */
class Greeter implements CharFrontend {
  readonly channels: ReturnType<Parameters<CharFrontend['connected']>[0]>[] = [];

  connected(open: Parameters<CharFrontend['connected']>[0]): void {
    const channel = open({ end: (self) => self.destroy() });
    channel.write('!');
    this.channels.push(channel);
  }
}

const noFds = (): never => {
  throw new Error('no fd is named here');
};

suite('a connecting character device', () => {
  let folder: string;
  let path: string;
  let reports: string[];
  let devices: CharacterDevices;
  let greeter: Greeter;
  let listener: Listener | undefined;
  let accepted: Channel[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fdset-chardev-'));
    path = join(folder, 'peer');
    reports = [];
    accepted = [];
    greeter = new Greeter();
    devices = new CharacterDevices({ accepts: () => true, report: (message) => reports.push(message) });
  });
  afterEach(async () => {
    devices.close();
    for (const channel of [...greeter.channels, ...accepted]) channel.destroy();
    listener?.close();
    await sleep(10);
    rmSync(folder, { recursive: true });
  });

  /** Listens; each byte that comes is a greeting. */
  function listen(): void {
    listener = listenUnix(path);
    listener.onConnection = (fd: OwnedFd) => accepted.push(openChannel(fd, {}));
  }

  async function add(options: string): Promise<void> {
    await devices.addByOption(`socket,id=c,path=${path}${options}`, noFds);
    devices.get('c')?.attach(greeter);
  }

  async function until(what: () => boolean): Promise<void> {
    for (let tries = 0; !what() && tries < 500; tries++) await sleep(10);
    assert.ok(what());
  }

  test('connects before it is there, once, and says so when it cannot', async () => {
    await assert.rejects(add(''), { message: `Failed to connect to '${path}': No such file or directory` });
    listen();
    await add('');
    assert.equal(devices.get('c')?.filename, `unix:${path}`);
    await until(() => accepted.length === 1);
    accepted[0]!.destroy();
    await until(() => devices.get('c')?.filename === `disconnected:unix:${path}`);
    await sleep(50);
    assert.equal(accepted.length, 1);
  });

  test('connects again and again, and tells of the first failure only', async () => {
    await add(',reconnect-ms=20');
    assert.equal(devices.get('c')?.filename, `disconnected:unix:${path}`);
    await sleep(100);
    assert.deepEqual(reports, [
      `Unable to connect character device c: Failed to connect to '${path}': No such file or directory`,
    ]);
    listen();
    await until(() => greeter.channels.length === 1);
    await until(() => accepted.length === 1);
    accepted[0]!.destroy();
    await until(() => greeter.channels.length === 2);
    assert.equal(reports.length, 1);
  });

  test('gives up when it is closed', async () => {
    await add(',reconnect=1');
    devices.close();
    listen();
    await sleep(50);
    assert.equal(accepted.length, 0);
  });

  test('comes back after it was yanked', async () => {
    listen();
    await add(',reconnect-ms=1');
    await until(() => greeter.channels.length === 1);
    devices.get('c')?.yank?.();
    await until(() => greeter.channels.length === 2);
  });

  test('closes what turns out to have no name', async () => {
    const [reading, writing] = pipe().map((fd) => new OwnedFd(fd)) as [OwnedFd, OwnedFd];
    writing.close();
    const connect = (): Promise<OwnedFd> => Promise.resolve(reading);
    const options = { connect, described: 'fd:f', reconnectMs: 0, showsPeerPath: true, report: () => undefined };
    await assert.rejects(SocketClientChardev.open('c', options), { errnoName: 'ENOTSOCK' });
    assert.ok(reading.closed);
  });

  test('waits no longer than a timer can', () => {
    const addr = { type: 'fd', data: { str: '3' } } as const;
    assert.equal(reconnectDelay({ addr, server: false, 'reconnect-ms': 3_000_000_000 }), 2 ** 31 - 1);
    assert.equal(reconnectDelay({ addr, server: false, reconnect: 3 }), 3000);
  });
});
