// What Tab offers, by the schema and by what is on the line already.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { ServerSchema } from '../../src/introspection/index.ts';
import { complete } from '../../src/shell/complete.ts';
import { sampleSchema } from '../introspection/sample-schema.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const schema = ServerSchema.read(sampleSchema);

async function offered(line: string): Promise<readonly string[]> {
  const live = (_: string, key: string): Promise<string[]> => Promise.resolve(key === 'node-name' ? ['n0', 'm0'] : []);
  return (await complete(line, schema, ['help', 'exit'], live)).candidates;
}

const lines: [string, string[]][] = [
  ['', ['block-add ', 'exit ', 'help ', 'query-things ']],
  ['x', ['x-try ']],
  ['query', ['query-things ']],
  ['help qu', ['query-things ']],
  ['help TH', ['THING_GONE ']],
  ['block-add ', ['driver=', 'node-name=', 'read-only=']],
  ['block-add driver=file ', ['filename=', 'node-name=', 'read-only=', 'offset=', 'locks=']],
  ['block-add driver=', ['file ', 'over ', 'null ']],
  ['block-add driver=o', ['over ']],
  ['block-add read-only=', ['on ', 'off ']],
  ['block-add node-name=n', ['n0 ']],
  ['block-add driver=over b', ['below=', 'below.']],
  ['block-add driver=over below.', ['below.driver=', 'below.node-name=', 'below.read-only=']],
  ['block-add driver=over below.driver=file below.f', ['below.filename=']],
  ['block-add driver=over below.driver=f', ['file ']],
  ['block-add driver=over parts.0.o', ['parts.0.offset=']],
  ['block-add {"driver": ', []],
  ['nonsense ', []],
];
for (const [line, expected] of lines) {
  test(`after '${line}'`, async () => assert.deepEqual(await offered(line), expected));
}

test('@ offers files, folders, and after a whole name the modes', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'images'));
  for (const name of ['disk.img', 'my disk.img', '.hidden']) writeFileSync(join(folder, name), '');
  const at = (part: string): Promise<readonly string[]> => offered(`block-add driver=file filename=@${folder}/${part}`);
  assert.deepEqual(await at('d'), [`@${folder}/disk.img`]);
  assert.deepEqual(await at('i'), [`@${folder}/images/`]);
  assert.deepEqual(await at('m'), [`@"${folder}/my disk.img"`]);
  assert.deepEqual(await at('.h'), [`@${folder}/.hidden`]);
  assert.deepEqual(
    await at('disk.img'),
    ['r', 'rw', 'w'].map((mode) => `@${folder}/disk.img:${mode} `),
  );
});
