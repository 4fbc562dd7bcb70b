// Do the programs that people use agree with an export made through an fd set, by a daemon that cannot open anything?
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { ftruncateSync, closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { FdsetProcess } from '../cli/fdset-process.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { missing } from '../programs.ts';

const folder = temporaryFolder();
const size = 32 * 1024 * 1024;
let running: FdsetProcess;
let uri: string;
const image = join(folder, 'disk.img');

/** Every second MiB is data, the rest holes. */
function makeImage(path: string): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, size);
  for (let offset = 0; offset < size; offset += 2 << 20) writeSync(fd, randomBytes(1 << 20), 0, 1 << 20, offset);
  closeSync(fd);
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Runs a program; its output, where it ends with 0. */
async function run(program: string, ...args: string[]): Promise<string> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, `${program} ${args.join(' ')}:\n${output}`);
  return output;
}

describe('an image that was passed to a sandboxed daemon', () => {
  before(async () => {
    makeImage(image);
    running = new FdsetProcess('serve', '--json', image);
    await running.until(/\n/);
    const served = JSON.parse(running.stdout) as { exports: { uri: string }[]; sandbox: { seccomp: boolean } };
    assert.equal(served.sandbox.seccomp, true);
    uri = served.exports[0]!.uri;
  });
  after(async () => {
    const { code, stderr } = await running.end();
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('nbdinfo shows its size and what can be done with it', { skip: missing('nbdinfo') }, async () => {
    const info = await run('nbdinfo', uri);
    assert.match(info, new RegExp(`export-size: ${size}`));
    assert.match(info, /is_read_only: false/);
    assert.match(info, /can_multi_conn: true/);
    assert.match(info, /base:allocation/);
  });

  test('nbdinfo maps its data and holes', { skip: missing('nbdinfo') }, async () => {
    const map = await run('nbdinfo', '--map', uri);
    assert.match(map, /^ +0 +1048576 +0 +data$/m);
    assert.match(map, /^ +1048576 +1048576 +3 +hole,zero$/m);
  });

  test('nbdcopy reads it whole', { skip: missing('nbdcopy') }, async () => {
    await run('nbdcopy', uri, join(folder, 'copy.img'));
    assert.equal(sha256(join(folder, 'copy.img')), sha256(image));
  });

  test('nbdcopy writes it whole, with several connections', { skip: missing('nbdcopy') }, async () => {
    const source = join(folder, 'source.img');
    makeImage(source);
    await run('nbdcopy', '--flush', '--connections=4', '--requests=16', source, uri);
    assert.equal(sha256(image), sha256(source));
  });

  test('qemu-img sees a raw image and compares it equal', { skip: missing('qemu-img') }, async () => {
    const info = JSON.parse(await run('qemu-img', 'info', '--output=json', '-f', 'raw', uri)) as Record<
      string,
      unknown
    >;
    assert.equal(info['virtual-size'], size);
    assert.match(await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, image), /identical/);
  });

  test('qemu-io reads back the patterns that it writes', { skip: missing('qemu-io') }, async () => {
    const commands = [
      'write -P 0xa5 0 64k',
      'write -P 0x5a 65536 4096',
      'write -P 7 1000 3000',
      'write -z 1M 64k',
      'flush',
      'read -P 0xa5 0 1000',
      'read -P 7 1000 3000',
      'read -P 0xa5 4000 61536',
      'read -P 0x5a 65536 4096',
      'read -P 0 1M 64k',
      'discard 2M 1M',
      'write -f -P 9 31M 1M',
      'read -P 9 31M 1M',
    ];
    const output = await run('qemu-io', '-f', 'raw', uri, ...commands.flatMap((command) => ['-c', command]));
    assert.doesNotMatch(output, /verification failed|error/i);
    assert.deepEqual(readFileSync(image).subarray(1000, 4000), Buffer.alloc(3000, 7));
  });

  test('fio verifies random writes of many sizes', { skip: missing('fio') }, async () => {
    const job = ['--name=verify', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bsrange=512-128k'];
    const depth = ['--iodepth=16', '--size=16m', '--verify=crc32c', '--verify_fatal=1', '--do_verify=1'];
    const output = await run('fio', ...job, ...depth, '--minimal');
    assert.doesNotMatch(output, /verify: bad/);
  });

  test('fio verifies a mixed load over several connections', { skip: missing('fio') }, async () => {
    const job = ['--name=mixed', '--ioengine=nbd', `--uri=${uri}`, '--rw=randrw', '--bs=4k', '--numjobs=4'];
    const depth = ['--iodepth=8', '--size=4m', '--offset_increment=4m', '--verify=crc32c', '--verify_fatal=1'];
    await run('fio', ...job, ...depth, '--minimal');
  });
});

test(
  'a client that is killed in the middle of its writes leaves the others alone',
  { skip: missing('fio') },
  async () => {
    const path = join(folder, 'victim.img');
    writeFileSync(path, Buffer.alloc(8 << 20));
    const server = new FdsetProcess('serve', '--json', path);
    await server.until(/\n/);
    const { exports } = JSON.parse(server.stdout) as { exports: { uri: string }[] };
    const target = exports[0]!.uri;
    const writer = ['--name=w', '--ioengine=nbd', `--uri=${target}`, '--rw=randwrite', '--bs=64k', '--iodepth=16'];
    // With --thread fio works in the process that is killed, and not in one that it forks.
    const victim = spawn('fio', [...writer, '--thread', '--size=8m', '--time_based', '--runtime=30'], {
      stdio: 'ignore',
      cwd: folder,
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    victim.kill('SIGKILL');
    await once(victim, 'close');
    await run('fio', ...writer, '--size=8m', '--verify=crc32c', '--verify_fatal=1', '--minimal');
    const { code, stderr } = await server.end();
    assert.deepEqual([code, stderr], [0, '']);
  },
);
