// What a list looks like on a terminal.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatSize, formatTable } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell, numbers stand right', () => {
  const text = formatTable(
    ['SET', 'MODE', 'FILE'],
    [
      [1, 'rw', 'a.img'],
      [10n, 'r', 'long-name.img'],
    ],
  );
  assert.equal(text, 'SET  MODE  FILE\n  1  rw    a.img\n 10  r     long-name.img');
});

test('a table without rows is its header', () => {
  assert.equal(formatTable(['A', 'B'], []), 'A  B');
});

test('sizes are given in the unit that a person would choose', () => {
  assert.deepEqual([0, 512, 1024, 1536, 1 << 30].map(formatSize), ['0 B', '512 B', '1 KiB', '1.5 KiB', '1 GiB']);
});
