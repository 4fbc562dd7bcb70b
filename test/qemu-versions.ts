// Which QEMUs are there to compare with? The one on PATH, and 10.0 as unpacked by scripts/fetch-qemu-10.sh (or what
// FDSET_QEMU_10 names: a folder with usr/bin and usr/share/qemu).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A QEMU whose programs can be run. */
export interface QemuVersion {
  /** As in `--compat qemu-NAME`. */
  readonly name: '7.2' | '10.0';
  /** Why it is not there, for a test to skip with; false where it is. */
  readonly missing: string | false;
  /** The command of one of its programs, such as `qemu-storage-daemon`, without arguments of the caller's. */
  command(program: string): readonly string[];
}

const unpacked = process.env['FDSET_QEMU_10'] ?? join(checkout(), 'build', 'qemu-10.0');

export const qemu10: QemuVersion = {
  name: '10.0',
  missing: existsSync(join(unpacked, 'usr/bin/qemu-storage-daemon'))
    ? false
    : 'QEMU 10.0 is not there: scripts/fetch-qemu-10.sh unpacks it',
  command(program) {
    const data = program.startsWith('qemu-system-') ? ['-L', join(unpacked, 'usr/share/qemu')] : [];
    return [join(unpacked, 'usr/bin', program), ...data];
  },
};

export const qemu7: QemuVersion = {
  name: '7.2',
  missing: installedVersion().startsWith('QEMU emulator version 7.2')
    ? false
    : 'QEMU 7.2 (Debian 12: qemu-system-x86, qemu-utils) is not installed',
  command: (program) => [program],
};

export const qemuVersions: readonly QemuVersion[] = [qemu10, qemu7];

function installedVersion(): string {
  return spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).stdout ?? '';
}

/** The folder with package.json; this file runs from below dist/. */
function checkout(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
