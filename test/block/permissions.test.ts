// Which users exclude each other, and which bytes are locked for them? Pure.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { conflictingBytes, lockBytes } from '../../src/block/image-locks.ts';
import {
  allPermissions,
  checkConflicts,
  combineClaims,
  isWriter,
  listPermissions,
  Permission,
} from '../../src/block/permissions.ts';

const { consistentRead, write, writeUnchanged, resize } = Permission;
const allButResize = allPermissions & ~resize;

test('users that share everything but resize get along', () => {
  const exported = { permissions: consistentRead | write, shared: allButResize, user: 'x', edge: 'root' };
  checkConflicts('n', [exported, { ...exported }, { ...exported, permissions: consistentRead }]);
  checkConflicts('n', []);
});

test('a user does not conflict with itself', () => {
  checkConflicts('n', [{ permissions: write, shared: consistentRead, user: 'x', edge: 'file' }]);
});

test('a conflict names every permission, and both users', () => {
  const owner = { permissions: 0, shared: consistentRead, user: "node 'q'", edge: 'file' };
  const other = { permissions: write | writeUnchanged | resize, shared: allPermissions, user: 'x', edge: 'root' };
  const message =
    "Permission conflict on node 'n': permissions 'write, write unchanged, resize' are both required by x " +
    "(uses node 'n' as 'root' child) and unshared by node 'q' (uses node 'n' as 'file' child).";
  assert.throws(() => checkConflicts('n', [owner, other]), { message, code: 'ERR_FDSET_PERMISSION_CONFLICT' });
  assert.throws(() => checkConflicts('n', [other, owner]), { message });
});

test('claims combine: what anybody needs, what everybody shares', () => {
  assert.deepEqual(combineClaims([]), { permissions: 0, shared: allPermissions });
  const claims = [
    { permissions: consistentRead, shared: allButResize },
    { permissions: write, shared: consistentRead | resize },
  ];
  assert.deepEqual(combineClaims(claims), { permissions: consistentRead | write, shared: consistentRead });
});

test('whoever may change the image is a writer', () => {
  assert.deepEqual([0, consistentRead, write, writeUnchanged, resize].map(isWriter), [false, false, true, true, true]);
});

test('permissions are listed lowest first, under the names of error texts', () => {
  const names = listPermissions(allPermissions).map(([, name]) => name);
  assert.deepEqual(names, ['consistent read', 'write', 'write unchanged', 'resize']);
});

test('a writable export locks bytes 100, 101 and 203', () => {
  assert.deepEqual(lockBytes({ permissions: consistentRead | write, shared: allButResize }), [100, 101, 203]);
});

test('a node without users locks nothing', () => {
  assert.deepEqual(lockBytes(combineClaims([])), []);
});

test('every permission has its byte', () => {
  assert.deepEqual(lockBytes({ permissions: allPermissions, shared: 0 }), [100, 101, 102, 103, 200, 201, 202, 203]);
});

test('locks of others count on the opposite byte', () => {
  assert.deepEqual(conflictingBytes({ permissions: consistentRead | write, shared: allButResize }), [
    { byte: 200, message: 'Failed to get "consistent read" lock' },
    { byte: 201, message: 'Failed to get "write" lock' },
    { byte: 103, message: 'Failed to get shared "resize" lock' },
  ]);
});
