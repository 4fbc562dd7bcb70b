// What a secret stands for, which nothing shows: encoded, encrypted, read from a file.
import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { ObjectTree } from '../../src/qom/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();
const folder = temporaryFolder();

async function contentOf(properties: object): Promise<string> {
  const tree = new ObjectTree({ chardevs: () => [], emptyContainers: true });
  await tree.add({ 'qom-type': 'secret', id: 'master', data: key.toString('base64'), format: 'base64' });
  await tree.add({ 'qom-type': 'secret', id: 's', ...properties });
  return (tree.find('s')!.content as Buffer).toString();
}

const key = Buffer.alloc(32, 7);
const iv = Buffer.alloc(16, 9);

function encrypted(text: string): Buffer {
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([cipher.update(text), cipher.final()]);
}

test('text is itself, base64 is decoded, a file is read', async () => {
  const file = join(folder, 'secret');
  writeFileSync(file, 'from a file');
  assert.equal(await contentOf({ data: 'plain' }), 'plain');
  assert.equal(await contentOf({ data: 'cGxhaW4=', format: 'base64' }), 'plain');
  assert.equal(await contentOf({ file }), 'from a file');
});

test('what is encrypted with another secret is decrypted, whatever its padding', async () => {
  const file = join(folder, 'encrypted');
  for (const text of ['', 'a', 'fifteen letters', 'sixteen letters.', 'more than sixteen letters']) {
    const keyed = { keyid: 'master', iv: iv.toString('base64') };
    assert.equal(await contentOf({ ...keyed, data: encrypted(text).toString('base64'), format: 'base64' }), text);
    writeFileSync(file, encrypted(text));
    assert.equal(await contentOf({ ...keyed, file }), text);
  }
});

test('a file without an end is given up', async () => {
  await assert.rejects(contentOf({ file: '/dev/zero' }), { message: /^Unable to read \/dev\/zero: it is longer than/ });
});
