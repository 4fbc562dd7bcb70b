// What a person sees of a result, and what the shell remembers of a line.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { historyFile, isRemembered, loadHistory, remember } from '../../src/shell/history.ts';
import { present } from '../../src/shell/present.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const narrow = { width: 31, colors: false };

test('what fits into a line stays on one, the rest is broken', () => {
  assert.equal(
    present({ running: false, list: [1, 2] }, { ...narrow, width: 40 }),
    '{ "running": false, "list": [1, 2] }',
  );
  assert.equal(
    present(
      [
        { name: 'a', size: 18_446_744_073_709_551_615n },
        { name: 'b', empty: {} },
      ],
      narrow,
    ),
    '[\n  {\n    "name": "a",\n    "size": 18446744073709551615\n  },\n  { "name": "b", "empty": {} }\n]',
  );
});

test('a text as a whole result is shown as it is, without control sequences', () => {
  assert.equal(present('a\r\nb\u001B[2Jc\r\n', narrow), 'a\nb?[2Jc');
  assert.equal(present({ a: '\u009B2J' }, narrow), '{ "a": "?2J" }');
});

test('colours only where they are wanted', () => {
  assert.equal(present({ a: 1 }, { width: 30, colors: true }), '{ \u001B[36m"a"\u001B[0m: \u001B[33m1\u001B[0m }');
});

test('history is kept for this user alone, the newest first, without secrets', () => {
  const file = historyFile({ XDG_STATE_HOME: temporaryFolder() });
  assert.deepEqual(loadHistory(file), []);
  const lines = [
    'query-status',
    'set_password protocol=vnc password=x',
    ' stop',
    'object-add qom-type=secret id=s data=x',
  ];
  for (const line of [...lines, 'blockdev-add {"driver":\n"null-co"}']) remember(file, line);
  assert.deepEqual(loadHistory(file), ['blockdev-add {"driver": "null-co"}', 'query-status']);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(isRemembered('   '), false);
});

test('a long history is cut when it is read', () => {
  const file = join(temporaryFolder(), 'history');
  writeFileSync(file, Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''));
  assert.equal(loadHistory(file).length, 1000);
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 1001);
});
