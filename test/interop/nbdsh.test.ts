// Illegal requests of every kind, sent by libnbd with its own checks switched off: what our server answers, and whether
// QEMU answers the same.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { until } from '../nbd/serve.ts';
import { missing, succeed } from '../programs.ts';
import { ServedImage } from './served-image.ts';

checkOpenFds();
const skip = missing('nbdsh');
const skipQemu = skip === false ? missing('qemu-storage-daemon') : skip;
const SIZE = 1 << 20;

/** Prints one line for each request: its name and `ok` or the errno. */
const script = (uri: string, structured: boolean) => `
import nbd

def connect():
    n = nbd.NBD()
    n.set_strict_mode(0)
    n.set_request_structured_replies(${structured ? 'True' : 'False'})
    n.add_meta_context("base:allocation")
    n.connect_uri("${uri}")
    return n

def try_(name, request):
    try:
        request()
        print(name, "ok")
    except nbd.Error as error:
        print(name, error.errno)

n = connect()
size = n.get_size()
x = lambda length: b"x" * length
extents = lambda *args: 0
try_("read beyond", lambda: n.pread(512, size))
try_("read across the end", lambda: n.pread(1024, size - 512))
try_("read far beyond", lambda: n.pread(512, 2**62))
try_("read wrapping around", lambda: n.pread(512, 2**64 - 256))
try_("read 0", lambda: n.pread(0, 0))
try_("read 0 at the end", lambda: n.pread(0, size))
try_("read 0 beyond", lambda: n.pread(0, size + 1))
try_("read 33M", lambda: n.pread(33 << 20, 0))
try_("write beyond", lambda: n.pwrite(x(512), size))
try_("write across the end", lambda: n.pwrite(x(1024), size - 512))
try_("write 0", lambda: n.pwrite(b"", 0))
try_("zero beyond", lambda: n.zero(512, size))
try_("zero 0", lambda: n.zero(0, 0))
try_("zero 4G", lambda: n.zero(2**32 - 512, 0))
try_("trim beyond", lambda: n.trim(512, size))
try_("trim 0", lambda: n.trim(0, 0))
try_("cache beyond", lambda: n.cache(512, size))
try_("cache 33M", lambda: n.cache(33 << 20, 0))
try_("cache 0", lambda: n.cache(0, 0))
try_("cache", lambda: n.cache(512, 0))
for bit in range(16):
    flag = 1 << bit
    if flag != 32: # NBD_CMD_FLAG_PAYLOAD_LEN changes the meaning of what follows
        try_(f"read flag {flag}", lambda: n.pread(512, 0, flag))
        try_(f"write flag {flag}", lambda: n.pwrite(x(512), 0, flag))
        try_(f"flush flag {flag}", lambda: n.flush(flag))
        try_(f"trim flag {flag}", lambda: n.trim(512, 0, flag))
        try_(f"zero flag {flag}", lambda: n.zero(512, 0, flag))
        try_(f"cache flag {flag}", lambda: n.cache(512, 0, flag))
        try_(f"block status flag {flag}", lambda: n.block_status(512, 0, extents, flag))
try_("block status 0", lambda: n.block_status(0, 0, extents))
try_("block status beyond", lambda: n.block_status(512, size, extents))
try_("block status across the end", lambda: n.block_status(1024, size - 512, extents))
try_("still there", lambda: n.pread(512, 0))
n.shutdown()
`;

/** The same, in what we let pass where QEMU closes the connection. */
const largeWrite = (uri: string) => `
import nbd
n = nbd.NBD()
n.set_strict_mode(0)
n.connect_uri("${uri}")
try:
    n.pwrite(b"x" * (33 << 20), 0)
    print("ok")
except nbd.Error as error:
    print(error.errno)
print(len(n.pread(512, 0)))
n.shutdown()
`;

async function withQemu<T>(writable: boolean, use: (uri: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-qsd-'));
  const image = join(folder, 'image.raw');
  writeFileSync(image, '');
  truncateSync(image, SIZE);
  const socket = join(folder, 'nbd.sock');
  const daemon = spawn('qemu-storage-daemon', [
    `--blockdev=driver=file,node-name=f,filename=${image},discard=unmap`,
    `--nbd-server=addr.type=unix,addr.path=${socket}`,
    `--export=type=nbd,id=e,node-name=f,name=,writable=${writable ? 'on' : 'off'}`,
  ]);
  const exited = new Promise((resolve) => void daemon.once('close', resolve));
  try {
    await until('qemu-storage-daemon listens', () => existsSync(socket));
    return await use(`nbd+unix:///?socket=${socket}`);
  } finally {
    daemon.kill();
    await exited;
    rmSync(folder, { recursive: true });
  }
}

for (const writable of [true, false]) {
  for (const structured of [true, false]) {
    const what = `${writable ? 'writable' : 'read-only'}, ${structured ? 'structured' : 'simple'} replies`;

    test(`every illegal request is answered as QEMU answers it: ${what}`, { skip: skipQemu }, async () => {
      const served = await ServedImage.start({ size: SIZE, writable });
      try {
        const ours = await succeed('nbdsh', ['-c', '-'], script(served.uri, structured));
        const theirs = await withQemu(writable, (uri) => succeed('nbdsh', ['-c', '-'], script(uri, structured)));
        assert.deepEqual(ours.split('\n'), theirs.split('\n'));
        assert.match(ours, /still there ok/);
        assert.match(ours, /write beyond EINVAL/);
      } finally {
        await served.close();
      }
    });
  }
}

test('a write that is too long is refused and the connection lives on', { skip }, async () => {
  const served = await ServedImage.start({ size: 64 << 20 });
  try {
    assert.equal(await succeed('nbdsh', ['-c', '-'], largeWrite(served.uri)), 'EINVAL\n512\n');
  } finally {
    await served.close();
  }
});
