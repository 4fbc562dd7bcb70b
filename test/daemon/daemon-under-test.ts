// A storage daemon of its own for one test: started, spoken to, its open fds counted, ended.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { QmpClient } from '../../src/client/index.ts';
import { NbdClient } from '../../src/nbd/index.ts';
import { FdsetProcess } from '../cli/fdset-process.ts';

let started = 0;

export class DaemonUnderTest {
  readonly qmp: string;
  readonly nbd: string;
  readonly process: FdsetProcess;
  readonly #clients: { close(): Promise<void> }[] = [];

  private constructor(folder: string) {
    const number = ++started;
    this.qmp = join(folder, `qmp${number}.sock`);
    this.nbd = join(folder, `nbd${number}.sock`);
    const chardevs = ['a', 'b'].flatMap((id) => [
      '--chardev',
      `socket,id=${id},path=${this.qmp}${id === 'a' ? '' : '2'},server=on,wait=off`,
    ]);
    this.process = new FdsetProcess('storage-daemon', ...chardevs, '--monitor', 'a', '--monitor', 'b');
  }

  /** Starts one; its sockets lie in `folder`. It has served a client and an export when this returns. */
  static async start(folder: string): Promise<DaemonUnderTest> {
    const daemon = new DaemonUnderTest(folder);
    for (let tries = 0; ; tries++) {
      try {
        await (await QmpClient.connect(daemon.qmp)).close();
        break;
      } catch (error) {
        if (tries === 100 || daemon.process.child.exitCode !== null) {
          daemon.process.child.kill('SIGKILL');
          throw new Error(`the daemon does not serve: ${daemon.process.stderr}`, { cause: error });
        }
        await sleep(100);
      }
    }
    await daemon.#warmUp();
    return daemon;
  }

  /** Node opens fds of its own when something is used for the first time. */
  async #warmUp(): Promise<void> {
    const client = await this.client();
    await this.startNbd(client);
    await client.execute('blockdev-add', { driver: 'null-co', 'node-name': 'warm' });
    await client.execute('block-export-add', { type: 'nbd', id: 'warm', 'node-name': 'warm' });
    await (await this.nbdClient('warm')).disconnect();
    await client.execute('nbd-server-stop');
    await client.execute('blockdev-del', { 'node-name': 'warm' });
    await this.leave();
  }

  get pid(): number {
    return this.process.child.pid ?? 0;
  }

  /** A QMP client, on the second monitor if `monitor` is 2; closed by {@link DaemonUnderTest.leave}. */
  async client(monitor: 1 | 2 = 1): Promise<QmpClient> {
    const client = await QmpClient.connect(monitor === 1 ? this.qmp : `${this.qmp}2`);
    this.#clients.push(client);
    return client;
  }

  /** An NBD client of an export; closed by {@link DaemonUnderTest.leave}. */
  async nbdClient(exportName: string): Promise<NbdClient> {
    const client = await NbdClient.connect({ path: this.nbd }, { exportName });
    this.#clients.push({ close: async () => client.destroy() });
    return client;
  }

  /** Starts the NBD server and exports a file, whose name may be `/dev/fdset/N`, for writing. */
  async exportFile(client: QmpClient, name: string, filename: string): Promise<void> {
    await client.execute('blockdev-add', { driver: 'file', 'node-name': name, filename });
    await client.execute('block-export-add', { type: 'nbd', id: name, 'node-name': name, writable: true });
  }

  async startNbd(client: QmpClient): Promise<void> {
    await client.execute('nbd-server-start', { addr: { type: 'unix', data: { path: this.nbd } } });
  }

  /** Closes all clients. */
  async leave(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
  }

  /** What the open fds of the daemon are, sorted. */
  openFds(): string[] {
    const folder = `/proc/${this.pid}/fd`;
    const links = readdirSync(folder).map((fd) => {
      try {
        return readlinkSync(join(folder, fd)).replace(/\d+/g, 'N');
      } catch {
        return 'gone';
      }
    });
    return links.filter((link) => link !== 'gone').sort();
  }

  /** Waits until the daemon has these fds open and no others. */
  async untilOpenFds(expected: readonly string[]): Promise<void> {
    for (let tries = 0; tries < 250 && this.openFds().join() !== expected.join(); tries++) await sleep(20);
    assert.deepEqual(this.openFds(), expected, 'open fds of the daemon');
  }

  /** Resident memory in bytes. */
  residentMemory(): number {
    return 1024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]);
  }

  /** `Z` for one that has ended but for threads that the kernel does not let go. */
  state(): string {
    try {
      return /^State:\s*(\w)/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? '';
    } catch {
      return 'gone';
    }
  }

  /** Waits until the main thread has ended, for 15 seconds. */
  async untilEnded(): Promise<void> {
    for (let tries = 0; tries < 750 && !['Z', 'X', 'gone'].includes(this.state()); tries++) await sleep(20);
    assert.match(this.state(), /^(Z|X|gone)$/);
  }

  /** Sends `quit` and waits for a clean end. */
  async quit(): Promise<void> {
    await this.leave();
    const client = await this.client();
    const closed = once(this.process.child, 'close');
    await client.execute('quit');
    await closed;
    await this.leave();
    assert.deepEqual([this.process.child.exitCode, this.process.stderr], [0, '']);
  }
}

/** Runs a test with a daemon, which has as many fds open afterwards as before, and then quits without complaint. */
export async function withDaemon(folder: string, run: (daemon: DaemonUnderTest) => Promise<void>): Promise<void> {
  const daemon = await DaemonUnderTest.start(folder);
  try {
    await sleep(30);
    const before = daemon.openFds();
    await run(daemon);
    await daemon.leave();
    await daemon.untilOpenFds(before);
    await daemon.quit();
  } finally {
    await daemon.leave();
    daemon.process.child.kill('SIGKILL');
  }
}
