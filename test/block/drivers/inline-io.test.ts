// Which requests are done without a thread, and are they done right?
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, mock, test } from 'node:test';
import { join } from 'node:path';
import { tmpdir } from 'node:os';

import { fsType, fstat } from '../../../src/addon/index.ts';
import { InlineIo } from '../../../src/block/drivers/inline-io.ts';
import { checkOpenFds } from '../../open-fds.ts';

checkOpenFds();

const content = Buffer.from(Array.from({ length: 64 * 1024 }, (_, i) => (i * 7) % 251));
let folders: Record<'disk' | 'memory', string>;
let onDisk: string | false = false;

before(async () => {
  folders = { disk: mkdtempSync(join(tmpdir(), 'fdset-inline-')), memory: mkdtempSync('/dev/shm/fdset-inline-') };
  for (const folder of Object.values(folders)) writeFileSync(join(folder, 'image'), content);
  const known = await withFile('disk', async (fd) => InlineIo.for(await fstat(fd), await fsType(fd), false));
  if (known === undefined) onDisk = 'the temporary folder is not on ext4, xfs or btrfs';
});

after(() => {
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true });
});

test('cached bytes are read at once, on a disk and on tmpfs', async (t) => {
  for (const where of ['disk', 'memory'] as const) {
    if (where === 'disk' && onDisk !== false) {
      t.diagnostic(onDisk);
      continue;
    }
    await withInline(where, (fd, inline) => {
      const buffer = Buffer.alloc(4096);
      assert.equal(inline.read(fd, buffer, 8192), true);
      assert.deepEqual(buffer, content.subarray(8192, 8192 + 4096));
    });
  }
});

test('what is not cached, lies behind the end, or is long is left to a thread', async (t) => {
  if (onDisk !== false) return t.skip(onDisk);
  await withInline('disk', (fd, inline) => {
    assert.equal(inline.read(fd, Buffer.alloc(4096), content.length - 512), false);
    assert.equal(inline.read(fd, Buffer.alloc(128 * 1024), 0), false);
    const image = join(folders.disk, 'image');
    execFileSync('dd', [`of=${image}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
    assert.equal(inline.read(fd, Buffer.alloc(4096), 32 * 1024), false);
  });
});

test('a small write is done at once, and a long one is left to a thread', async () => {
  await withInline('memory', (fd, inline) => {
    assert.equal(inline.write(fd, Buffer.from('fdset'), 1000), true);
    assert.equal(readFileSync(join(folders.memory, 'image')).toString('latin1', 1000, 1005), 'fdset');
    assert.equal(inline.write(fd, Buffer.alloc(128 * 1024), 0), false);
  });
});

test('a write that was held back sends the next ones to threads for a second', async () => {
  await withInline('memory', (fd, inline) => {
    const times = [0, 5, 900, 1100, 1100];
    const clock = mock.method(performance, 'now', () => times.shift() ?? assert.fail('the clock was asked too often'));
    try {
      const results = [1, 2, 3].map(() => inline.write(fd, Buffer.from('x'), 0));
      assert.deepEqual(results, [true, false, true]);
    } finally {
      clock.mock.restore();
    }
  });
});

test('a write that fails is left to a thread, which finds out why', async () => {
  const fd = openSync('/dev/full', 'r+');
  try {
    const inline = await withFile('memory', async (known) =>
      InlineIo.for(await fstat(known), await fsType(known), false),
    );
    assert.equal(inline?.write(fd, Buffer.from('x'), 0), false);
  } finally {
    closeSync(fd);
  }
});

test('O_DIRECT, pipes and file systems that may wait are never tried', async () => {
  await withFile('memory', async (fd) => {
    const stat = await fstat(fd);
    assert.equal(InlineIo.for(stat, await fsType(fd), true), undefined);
    for (const fuseNfsOverlayProc of [0x65735546, 0x6969, 0x794c7630, 0x9fa0]) {
      assert.equal(InlineIo.for(stat, fuseNfsOverlayProc, false), undefined);
    }
  });
  const fd = openSync('/dev/null', 'r');
  try {
    assert.equal(InlineIo.for(await fstat(fd), await fsType(fd), false), undefined);
  } finally {
    closeSync(fd);
  }
});

async function withInline(where: 'disk' | 'memory', run: (fd: number, inline: InlineIo) => void): Promise<void> {
  await withFile(where, async (fd) => {
    const inline = InlineIo.for(await fstat(fd), await fsType(fd), false);
    assert.ok(inline !== undefined);
    run(fd, inline);
  });
}

async function withFile<T>(where: 'disk' | 'memory', run: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(join(folders[where], 'image'), 'r+');
  try {
    return await run(fd);
  } finally {
    closeSync(fd);
  }
}
