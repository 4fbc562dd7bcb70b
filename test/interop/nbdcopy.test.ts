import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { missing, succeed } from '../programs.ts';
import { ServedImage } from './served-image.ts';

checkOpenFds();
const skip = missing('nbdcopy');
const SIZE = 48 << 20;

/** Data, a large hole, data, zeroes that are written, and an odd end. */
function testImage(path: string): string {
  const content = Buffer.alloc(SIZE);
  randomFillSync(content, 0, 9 << 20);
  randomFillSync(content, 30 << 20, 5 << 20);
  randomFillSync(content, SIZE - 12_345, 12_345);
  writeFileSync(path, content);
  return createHash('sha256').update(content).digest('hex');
}

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

for (const how of [[], ['--synchronous'], ['--connections=4', '--requests=64'], ['--request-size=1048576']]) {
  test(`nbdcopy ${how.join(' ')} copies in and out`, { skip }, async () => {
    const served = await ServedImage.start({ size: SIZE });
    try {
      const sum = testImage(served.path('in.raw'));
      await succeed('nbdcopy', [...how, served.path('in.raw'), served.uri]);
      assert.equal(sha256(served.image), sum);
      await succeed('nbdcopy', [...how, served.uri, served.path('out.raw')]);
      assert.equal(sha256(served.path('out.raw')), sum);
    } finally {
      await served.close();
    }
  });
}

test('nbdcopy leaves holes where there were holes', { skip }, async () => {
  const served = await ServedImage.start({ size: 1 << 30 });
  try {
    writeFileSync(served.image, randomFillSync(Buffer.alloc(1 << 20)), { flag: 'r+' });
    await succeed('nbdcopy', [served.uri, served.path('out.raw')]);
    const { size, blocks } = statSync(served.path('out.raw'));
    assert.equal(size, 1 << 30);
    assert.ok(blocks * 512 < 8 << 20, `${blocks * 512} bytes are allocated`);
  } finally {
    await served.close();
  }
});

test('nbdcopy copies from one export to another', { skip }, async () => {
  const from = await ServedImage.start({ size: SIZE });
  const to = await ServedImage.start({ size: SIZE });
  try {
    const sum = testImage(from.image);
    await succeed('nbdcopy', ['--flush', from.uri, to.uri]);
    assert.equal(sha256(to.image), sum);
  } finally {
    await from.close();
    await to.close();
  }
});
