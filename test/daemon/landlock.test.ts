import assert from 'node:assert/strict';
import { test } from 'node:test';

import { closeFd, createRuleset, landlockAbi } from '../../src/addon/index.ts';
import { rightsOf } from '../../src/daemon/landlock.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('each ABI handles what it brought and all before it', () => {
  assert.deepEqual(rightsOf(1), { fs: 0x1fff, net: 0, scoped: 0 });
  assert.deepEqual(rightsOf(2), { fs: 0x3fff, net: 0, scoped: 0 });
  assert.deepEqual(rightsOf(3), { fs: 0x7fff, net: 0, scoped: 0 });
  assert.deepEqual(rightsOf(4), { fs: 0x7fff, net: 3, scoped: 0 });
  assert.deepEqual(rightsOf(5), { fs: 0xffff, net: 3, scoped: 0 });
  assert.deepEqual(rightsOf(6), { fs: 0xffff, net: 3, scoped: 3 });
  assert.deepEqual(rightsOf(7), { fs: 0xffff, net: 3, scoped: 3 });
});

test('the kernel takes the rights of its ABI and of every older one', { skip: landlockAbi() === 0 }, () => {
  for (let abi = 1; abi <= Math.min(7, landlockAbi()); abi++) {
    const { fs, net, scoped } = rightsOf(abi);
    closeFd(createRuleset(fs, net, scoped));
  }
});
