// A real QEMU to talk to, where it is installed: the emulator without a machine, with a QMP socket.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';

import type { QemuVersion } from './qemu-versions.ts';

export const emulator = 'qemu-system-x86_64';

/** Starts the emulator, stopped, with QMP on `socket`; resolves when it listens. */
export function startQemu(socket: string, ...args: string[]): Promise<QemuProcess> {
  return startProgram([emulator], socket, ['-machine', 'none', ...args]);
}

/** The same of a certain QEMU, with a machine that SCSI disks can be plugged into. */
export function startMachine(version: QemuVersion, socket: string, ...args: string[]): Promise<QemuProcess> {
  const machine = ['-machine', 'q35', '-device', 'virtio-scsi-pci,id=scsi0'];
  return startProgram(version.command(emulator), socket, [...machine, ...args]);
}

async function startProgram(command: readonly string[], socket: string, args: string[]): Promise<QemuProcess> {
  const [program, ...first] = command;
  const quiet = ['-nodefaults', '-display', 'none', '-S'];
  const child = spawn(program!, [...first, ...quiet, '-qmp', `unix:${socket},server=on,wait=off`, ...args], {
    stdio: 'ignore',
  });
  const deadline = Date.now() + 20_000;
  while (!existsSync(socket)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('qemu did not start');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // A client that comes while the monitor is being moved to its thread gets two greetings.
  await new Promise((resolve) => setTimeout(resolve, 400));
  return new QemuProcess(child);
}

export class QemuProcess {
  readonly child: ChildProcess;

  constructor(child: ChildProcess) {
    this.child = child;
  }

  get pid(): number {
    return this.child.pid!;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'close');
  }
}
