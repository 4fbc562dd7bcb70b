// A block device for tests: a loop device over a file, which takes root.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Bytes. */
export const loopDeviceSize = 1024 * 1024;

/** Why there can be no loop device here; false if there can. */
export function loopSkipReason(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to set up a loop device';
  if (!existsSync('/dev/loop-control')) return 'needs /dev/loop-control';
  if (spawnSync('losetup', ['--version']).error !== undefined) return 'needs losetup';
  return false;
}

/** Runs with a loop device over a file full of 0x41. */
export async function withLoop(run: (device: string, image: string) => Promise<void>, sectorSize = 512): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'fdset-loop-'));
  const image = join(dir, 'image');
  writeFileSync(image, Buffer.alloc(loopDeviceSize, 0x41));
  const setUp = spawnSync('losetup', ['--find', '--show', '--sector-size', String(sectorSize), image]);
  assert.equal(setUp.stderr.toString(), '');
  const device = setUp.stdout.toString().trim();
  try {
    await run(device, image);
  } finally {
    spawnSync('losetup', ['--detach', device]);
    rmSync(dir, { recursive: true });
  }
}
