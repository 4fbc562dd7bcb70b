import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NbdServer } from '../../src/nbd/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { MemoryDisk } from './memory-disk.ts';
import { connect } from './serve.ts';

checkOpenFds();

for (const structuredReplies of [true, false]) {
  test(`a client writes and reads back, structured replies ${structuredReplies ? 'on' : 'off'}`, async () => {
    const disk = new MemoryDisk(1 << 20);
    const server = new NbdServer();
    server.addExport({ name: 'disk', writable: true, backend: disk, description: 'a disk' });
    const client = await connect(server, { exportName: 'disk', structuredReplies });
    assert.equal(client.size, 1 << 20);
    assert.equal(client.description, 'a disk');
    assert.equal(client.flags, 3437 | (structuredReplies ? 0x80 : 0));
    await client.write(5, Buffer.from('hello'), { fua: true });
    assert.equal((await client.read(4, 7)).toString('latin1'), '\0hello\0');
    assert.ok((await client.read(0, 1 << 20)).equals(disk.bytes));
    await client.writeZeroes(6, 2);
    await client.trim(4096, 4096);
    await client.flush();
    await client.cache(0, 4096);
    assert.equal((await client.read(4, 7)).toString('latin1'), '\0h\0\0lo\0');
    if (structuredReplies) {
      assert.deepEqual(await client.blockStatus(0, 1 << 20), [
        { length: 4096, hole: false, zero: false },
        { length: (1 << 20) - 4096, hole: true, zero: true },
      ]);
    }
    await client.disconnect();
    await server.stop();
  });
}
