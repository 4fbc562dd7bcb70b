import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Chardev, CharFrontend } from '../../src/chardev/index.ts';
import { CommandRegistry, createMonitorShared, Monitor } from '../../src/monitor/index.ts';

test('a connection that cannot be opened is no client', () => {
  const shared = createMonitorShared(new CommandRegistry());
  const counts: number[] = [];
  shared.clients.onChange = (count) => counts.push(count);
  let frontend: CharFrontend | undefined;
  const chardev: Chardev = { id: 'c', attach: (one) => (frontend = one), close: () => undefined };
  void new Monitor(chardev, shared);
  const refused = (): never => {
    throw new Error('EMFILE');
  };
  assert.throws(() => frontend!.connected(refused), { message: 'EMFILE' });
  assert.deepEqual(counts, []);
});
