// Which servers does bench/monitor.ts compare?
import { join } from 'node:path';

import { compile, root, type Startable, unpackedQemu, versionOf } from './servers.ts';

/** What can be measured. */
export interface ServerKind extends Startable {
  /** Whether it speaks QMP, or only ends each message it gets with a line. */
  readonly qmp: boolean;
}

export const FDSET: ServerKind = {
  name: 'fdset',
  qmp: true,
  command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'monitor-server.js'), socket],
};

/** FDSET first, then those that are there. QEMU 10.0 is the one that scripts/fetch-qemu-10.sh unpacks. */
export function serverKinds(): ServerKind[] {
  const sockets: ServerKind = {
    name: 'sockets',
    qmp: false,
    command: (socket) => [process.execPath, join(root, 'dist', 'bench', 'echo-server.js'), socket],
  };
  const echo: ServerKind = { name: 'C echo', qmp: false, command: (socket) => [compile('echo-server'), socket] };
  const emulators = [
    ['qemu-system-x86_64'],
    [unpackedQemu('usr/bin/qemu-system-x86_64'), '-L', unpackedQemu('usr/share/qemu')],
  ];
  return [FDSET, echo, sockets, ...emulators.flatMap(emulatorKind)];
}

function emulatorKind(emulator: readonly string[]): ServerKind[] {
  const version = versionOf(emulator[0] as string);
  if (version === undefined) return [];
  const options = '-machine none -nodefaults -display none -qmp'.split(' ');
  const command = (socket: string): string[] => [...emulator, ...options, `unix:${socket},server=on,wait=off`];
  return [{ name: `QEMU ${version}`, qmp: true, command }];
}
