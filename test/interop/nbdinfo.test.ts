import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { missing, run, succeed } from '../programs.ts';
import { ServedImage } from './served-image.ts';

checkOpenFds();
const skip = missing('nbdinfo');

test('nbdinfo sees what is exported', { skip }, async () => {
  const served = await ServedImage.start({ size: 1 << 20, name: 'disk', description: 'a disk' });
  try {
    const info = JSON.parse(await succeed('nbdinfo', ['--json', served.uri])) as Record<string, unknown>;
    const [disk] = info['exports'] as Record<string, unknown>[];
    assert.deepEqual([info['protocol'], info['TLS']], ['newstyle-fixed', false]);
    const expected = {
      'export-name': 'disk',
      description: 'a disk',
      'export-size': 1 << 20,
      contexts: ['base:allocation'],
      is_read_only: false,
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
      block_size_minimum: 1,
      block_size_maximum: 32 << 20,
    };
    const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, disk?.[key]]));
    assert.deepEqual(seen, expected);
  } finally {
    await served.close();
  }
});

test('nbdinfo lists all exports, maps a file with a hole and finds no export that is not there', { skip }, async () => {
  const served = await ServedImage.start({ size: 1 << 20, writable: false });
  try {
    const list = JSON.parse(await succeed('nbdinfo', ['--json', '--list', served.uri])) as { exports: unknown[] };
    assert.equal(list.exports.length, 1);
    const map = JSON.parse(await succeed('nbdinfo', ['--json', '--map', served.uri])) as unknown[];
    assert.deepEqual(map, [{ offset: 0, length: 1 << 20, type: 3, description: 'hole,zero' }]);
    const unknown = await run('nbdinfo', [`nbd+unix:///other?socket=${served.socket}`]);
    assert.notEqual(unknown.status, 0);
    assert.match(unknown.stderr, /No such file or directory for export: other/);
  } finally {
    await served.close();
  }
});

test('a client that insists on TLS is refused', { skip }, async () => {
  const served = await ServedImage.start({ size: 1 << 20 });
  try {
    const { status } = await run('nbdinfo', [served.uri.replace('nbd+unix', 'nbds+unix')]);
    assert.notEqual(status, 0);
  } finally {
    await served.close();
  }
});
