// The harness finds what it is there for: our monitor with a fault planted in it differs from QEMU, and without one not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOpenFds } from '../../open-fds.ts';
import { qemu10 } from '../../qemu-versions.ts';
import { Comparison } from './harness.ts';
import { faulty, qemu } from './server.ts';

checkOpenFds();

const SEED = 7;
const SCRIPTS = 150;

for (const [fault, evidence] of [
  ['wrong-fd', /^the files at the end:$/m],
  ['leaked-fd', /^the files (at the end|after cleaning up):$/m],
  ['reused-number', /^! .*unknown \d+|^! m\d#\d is/m],
  ['order-swapped', /"execute":"query-fdsets"/],
  ['text-changed', /^! .*not foumd/m],
] as const) {
  test(`a fault is found: ${fault}`, { skip: qemu10.missing }, async () => {
    const comparison = await Comparison.start(qemu(qemu10), faulty(fault));
    try {
      const difference = await comparison.compare(SEED, SCRIPTS, { shrinking: 2000 });
      assert.ok(difference !== undefined, 'no difference was found');
      assert.match(difference.text, evidence);
    } finally {
      await comparison.end();
    }
  });
}

test('a script that differs is shrunk to the steps that matter', { skip: qemu10.missing }, async () => {
  const comparison = await Comparison.start(qemu(qemu10), faulty('text-changed'));
  try {
    const difference = await comparison.compare(SEED, SCRIPTS);
    assert.ok(difference !== undefined && difference.script.length <= 2, difference?.text);
  } finally {
    await comparison.end();
  }
});

test('without a fault there is nothing to find', { skip: qemu10.missing }, async () => {
  const comparison = await Comparison.start(qemu(qemu10), faulty('none'));
  try {
    assert.equal((await comparison.compare(SEED, SCRIPTS))?.text, undefined);
  } finally {
    await comparison.end();
  }
});
