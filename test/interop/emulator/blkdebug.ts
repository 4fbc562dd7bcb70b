// A driver that takes as long to open as its configuration takes to read, which may be a FIFO: how QEMU's tests make a
// command that blocks. It injects no errors; behind it is null-co.
import { readFile } from 'node:fs/promises';

import type { BlockDriver } from '../../../src/block/driver.ts';
import { drivers } from '../../../src/block/drivers/index.ts';

export function addBlkdebug(): void {
  const nullCo = drivers.get('null-co')!;
  const blkdebug: BlockDriver = {
    name: 'blkdebug',
    hasFile: false,
    async open(context, options) {
      const { config } = options as { readonly config?: string };
      if (config !== undefined) await readFile(config);
      return nullCo.open(context, { driver: 'null-co' }, undefined);
    },
  };
  (drivers as Map<string, BlockDriver>).set(blkdebug.name, blkdebug);
}
