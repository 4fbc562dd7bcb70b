// What a TARGET on the command line means.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseTarget } from '../../src/cli/target.ts';

const meanings: [string, unknown][] = [
  ['qmp.sock', { type: 'unix', path: 'qmp.sock' }],
  ['/run/a:1', { type: 'unix', path: '/run/a:1' }],
  ['@vm', { type: 'unix', path: '@vm' }],
  ['unix:a:1', { type: 'unix', path: 'a:1' }],
  ['localhost:4444', { type: 'inet', host: 'localhost', port: 4444 }],
  ['tcp:10.0.0.1:1', { type: 'inet', host: '10.0.0.1', port: 1 }],
  ['[::1]:4444', { type: 'inet', host: '::1', port: 4444 }],
];
for (const [text, target] of meanings) {
  test(`${text} means ${JSON.stringify(target)}`, () => {
    assert.deepEqual(parseTarget(text), target);
  });
}

test('an empty target and a port that does not exist are refused', () => {
  assert.throws(() => parseTarget(''), { exitCode: 2 });
  assert.throws(() => parseTarget('host:70000'), { exitCode: 2 });
});
