// A real QEMU that runs as nobody, with a virtio-scsi controller and a QMP socket, for the tests of the client.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QemuVersion } from '../qemu-versions.ts';

const nobody = 65_534;

export class QemuOfNobody {
  readonly socket: string;
  readonly child: ChildProcess;

  private constructor(socket: string, child: ChildProcess) {
    this.socket = socket;
    this.child = child;
  }

  /** Starts one; its socket lies in a folder below `folder`, which nobody must be able to enter. */
  static async start(version: QemuVersion, folder: string, ...options: string[]): Promise<QemuOfNobody> {
    const own = mkdtempSync(join(folder, 'nobody-'));
    chownSync(own, nobody, nobody);
    const socket = join(own, 'qmp.sock');
    const [program = '', ...args] = version.command('qemu-system-x86_64');
    const machine = ['-nodefaults', '-display', 'none', '-machine', 'pc,accel=tcg', '-device', 'virtio-scsi-pci'];
    const qmp = ['-qmp', `unix:${socket},server=on,wait=off`];
    const child = spawn(program, [...args, ...machine, ...qmp, ...options], {
      uid: nobody,
      gid: nobody,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    while (!existsSync(socket)) {
      assert.equal(child.exitCode, null, 'QEMU has not started');
      await sleep(20);
    }
    await sleep(400); // a client that comes while the monitor moves to its thread is greeted twice
    return new QemuOfNobody(socket, child);
  }

  /** What its open fds are, but for those that come and go with its threads. */
  openFds(): string[] {
    const folder = `/proc/${this.child.pid}/fd`;
    return readdirSync(folder)
      .map((fd) => readlinkSync(join(folder, fd)))
      .filter((link) => link.startsWith('/'))
      .toSorted();
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'close');
  }
}
