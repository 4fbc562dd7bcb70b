// --daemonize: who waits is told when all is ready or why not, and what stays behind holds on to nothing.
import assert from 'node:assert/strict';
import { spawnSync, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { QmpClient } from '../../src/client/index.ts';
import { fdsetMain } from '../cli/fdset-process.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();
const folder = temporaryFolder();
const pids: number[] = [];
after(() => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended, as it should
    }
  }
});

/** Ends only when nothing holds its output any more. */
function daemonize(args: readonly string[], stdio: StdioOptions = ['ignore', 'pipe', 'pipe']) {
  const words = ['storage-daemon', '--daemonize', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, [fdsetMain, ...words], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 30_000,
    stdio,
  });
  return { status, stdout, stderr };
}

function pidIn(file: string): number {
  const pid = Number(readFileSync(join(folder, file), 'utf8'));
  pids.push(pid);
  return pid;
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
    // A zombie that nobody reaps, where this container has no init, has ended too.
    if (stat === '' || /\) Z /.test(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const sandbox of ['off', 'try']) {
  test(`with --sandbox ${sandbox} it serves in the background, with the fds that it was given`, async () => {
    const image = join(folder, 'image');
    writeFileSync(image, 'x'.repeat(512));
    const fd = openSync(image, 'r');
    const socket = join(folder, `${sandbox}.sock`);
    const chardev = ['--chardev', `socket,id=c,path=${socket},server=on,wait=off`, '--monitor', 'c'];
    const sets = ['--add-fd', 'fd=7,set=1', '--blockdev', 'file,node-name=n,filename=/dev/fdset/1,read-only=on'];
    const rest: string[] = ['--sandbox', sandbox, '--pidfile', `${sandbox}.pid`];
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', 'ignore', 'ignore', fd];
    const { status, stdout } = daemonize([...chardev, ...sets, ...rest], stdio);
    closeSync(fd);
    assert.deepEqual([status, stdout], [0, '']);

    const pid = pidIn(`${sandbox}.pid`);
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
    for (const standard of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${pid}/fd/${standard}`), '/dev/null');
    const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[3];
    assert.notEqual(session, readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')[3]);
    assert.equal(statSync(socket).mode & 0o777, 0o750);
    const client = await QmpClient.connect(socket);
    assert.equal(((await client.execute('query-fdsets')) as unknown[]).length, 1);
    await client.close();
    process.kill(pid, 'SIGTERM');
    await gone(pid);
    assert.ok(!existsSync(join(folder, `${sandbox}.pid`)));
    assert.ok(!existsSync(socket));
  });

  test(`with --sandbox ${sandbox} nobody's standard input is no device`, () => {
    const { status, stderr } = daemonize(['--sandbox', sandbox, '--chardev', 'stdio,id=c']);
    const reason = '--chardev stdio,id=c: cannot use stdio with -daemonize';
    assert.deepEqual([status, stderr], [1, `fdset storage-daemon: ${reason}\n`]);
  });

  test(`with --sandbox ${sandbox} what goes wrong is said, and who waits ends with 1`, () => {
    const { status, stderr } = daemonize(['--sandbox', sandbox, '--blockdev', 'file,node-name=n,filename=/nowhere/x']);
    const option = '--blockdev file,node-name=n,filename=/nowhere/x';
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^fdset storage-daemon: ${option}: Could not open '/nowhere/x': .*\\n$`));
  });
}

test('two with one pid file: the second is refused', async () => {
  assert.equal(daemonize(['--pidfile', 'pid']).status, 0);
  const { status, stderr } = daemonize(['--pidfile', 'pid']);
  assert.equal(status, 1);
  const reason = 'cannot create PID file: Cannot lock pid file: Resource temporarily unavailable';
  assert.equal(stderr, `fdset storage-daemon: ${reason}\n`);
  const pid = pidIn('pid');
  process.kill(pid, 'SIGINT');
  await gone(pid);
});

test('a pid file that a dead daemon has left is taken over', async () => {
  writeFileSync(join(folder, 'old'), '123456789 and more\n', { mode: 0o600 });
  assert.equal(daemonize(['--pidfile', 'old']).status, 0);
  const pid = pidIn('old');
  assert.equal(readFileSync(join(folder, 'old'), 'utf8'), `${pid}\n`);
  process.kill(pid, 'SIGHUP');
  await gone(pid);
});

test('an fd that nobody handed on is refused, the one of the pipe back too', () => {
  const { status, stderr } = daemonize(['--add-fd', 'fd=3,set=1']);
  assert.equal(status, 1);
  assert.match(stderr, /fd is not valid or already in use\n$/);
});
