// Real QEMU and ours answer random scripts alike. A bounded number with a fixed seed; `npm run differential` goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOpenFds } from '../../open-fds.ts';
import { qemuVersions } from '../../qemu-versions.ts';
import { COMMANDS } from './arbitrary-commands.ts';
import { Comparison } from './harness.ts';
import { fdset, qemu } from './server.ts';

checkOpenFds();

for (const version of qemuVersions) {
  test(`random scripts are answered as QEMU ${version.name} answers them`, { skip: version.missing }, async () => {
    const comparison = await Comparison.start(qemu(version), fdset(version));
    try {
      const difference = await comparison.compare(20_100, 200);
      assert.equal(difference?.text, undefined);
      assert.deepEqual(comparison.histogram.complaints(COMMANDS), [], comparison.histogram.toString());
    } finally {
      await comparison.end();
    }
  });
}
