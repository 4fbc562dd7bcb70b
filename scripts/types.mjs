// Makes the ready-made types of QEMU's commands and events from the real programs.
//
//   npm run types                    src/qemu-types/qemu-10.0.ts and qemu-7.2.ts, where those QEMUs are
//   node scripts/types.mjs FOLDER    the same into another folder
//
// QEMU 10.0 is the one of scripts/fetch-qemu-10.sh, 7.2 the one on PATH. Needs a build.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = process.argv[2] ?? join(root, 'src', 'qemu-types');
const { qemu10, qemu7 } = await import(join(root, 'dist', 'test', 'qemu-versions.js'));

const versions = [
  { qemu: qemu10, file: 'qemu-10.0.ts', name: 'Qemu10' },
  { qemu: qemu7, file: 'qemu-7.2.ts', name: 'Qemu7' },
];
let failed = false;
for (const { qemu, file, name } of versions) {
  if (qemu.missing) {
    console.error(`fdset: ${file} is left as it is: ${qemu.missing}`);
    continue;
  }
  const [program] = qemu.command('qemu-system-x86_64');
  const main = join(root, 'dist', 'src', 'cli', 'main.js');
  const args = ['types', program, '--name', name, '-o', join(folder, file)];
  const { status } = spawnSync(process.execPath, [main, ...args], { stdio: 'inherit' });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
