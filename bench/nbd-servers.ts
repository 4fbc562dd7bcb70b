// Which servers does bench/nbd.ts compare? Each serves one image, writable, as the export `disk`.
import { join } from 'node:path';

import { root, unpackedQemu, versionOf } from './servers.ts';

export interface ImageServer {
  readonly name: string;
  readonly command: (socket: string, image: string) => readonly string[];
}

/** Ours first, then those that are there: QEMU 10.0 as unpacked by scripts/fetch-qemu-10.sh, else the one installed. */
export function imageServers(): ImageServer[] {
  const ours = [process.execPath, join(root, 'dist', 'src', 'cli', 'storage-daemon-main.js')];
  return [
    { name: 'fdset', command: (socket, image) => [...ours, ...daemonOptions(socket, image, '')] },
    ...storageDaemons(),
    ...qemuNbd(),
    ...nbdkit(),
  ];
}

function storageDaemons(): ImageServer[] {
  const daemon = newest('qemu-storage-daemon');
  if (daemon === undefined) return [];
  return ['threads', 'io_uring'].map((aio) => ({
    name: `qsd ${aio}`,
    command: (socket, image) => [daemon, ...daemonOptions(socket, image, `,aio=${aio}`)],
  }));
}

function daemonOptions(socket: string, image: string, fileOptions: string): string[] {
  const server = `addr.type=unix,addr.path=${socket},max-connections=0`;
  return [
    '--blockdev',
    `driver=file,node-name=file,filename=${image}${fileOptions}`,
    '--blockdev',
    'driver=raw,node-name=disk,file=file',
    '--nbd-server',
    server,
    '--export',
    'nbd,id=disk,node-name=disk,name=disk,writable=on',
  ];
}

function qemuNbd(): ImageServer[] {
  const program = newest('qemu-nbd');
  if (program === undefined) return [];
  const options = ['--persistent', '--shared=0', '--format=raw', '--cache=writeback', '--export-name=disk'];
  return [{ name: 'qemu-nbd', command: (socket, image) => [program, ...options, `--socket=${socket}`, image] }];
}

function nbdkit(): ImageServer[] {
  const command = (socket: string, image: string): string[] => ['nbdkit', '-f', '-U', socket, 'file', image];
  // "nbdkit 1.32.5 (nbdkit-1.32.5-1)": another form of version than QEMU's.
  return versionOf('nbdkit', /nbdkit (\d+\.\d+)/) === undefined ? [] : [{ name: 'nbdkit', command }];
}

function newest(program: string): string | undefined {
  return [unpackedQemu(`usr/bin/${program}`), program].find((path) => versionOf(path, /(\d+\.\d+)/) !== undefined);
}
