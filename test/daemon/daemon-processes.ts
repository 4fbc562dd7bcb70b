// The processes that the starter's tests run: daemons of a few lines, and a starter that is killed. A role is the first
// argument; the outcome goes to fd 3 where there is one.
import { readFileSync, readSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

import { takeInheritedFd } from '../../src/fds/index.ts';
import { enterSandbox } from '../../src/daemon/sandbox.ts';
import { startDaemon } from '../../src/daemon/starter.ts';
import { runWorkload } from './workload.ts';

/** Where this file is, compiled. */
export const daemonProcesses = fileURLToPath(import.meta.url);

const roles: Record<string, () => Promise<void> | void> = {
  /** Serves until it is killed. */
  idle: async () => {
    const sandbox = await enterSandbox();
    process.on('SIGTERM', () => process.exit(42));
    setInterval(() => {}, 1000);
    sandbox.ready();
  },
  /** Finds something wrong before it serves. */
  failing: async () => {
    const sandbox = await enterSandbox();
    sandbox.failed(new Error('no such thing'));
    process.exitCode = 1;
  },
  /** Ends without a word. */
  silent: () => {
    process.exitCode = 3;
  },
  /** Says what it was started with. */
  surroundings: async () => {
    const text = (path: string): string => readFileSync(path, 'utf8');
    const off = process.argv.includes('off');
    const order = JSON.parse(process.env['FDSET_SANDBOX'] ?? '') as { fds: number[] };
    const before = { fds: order.fds, cwd: process.cwd(), environment: Object.keys(process.env).sort() };
    (await enterSandbox()).ready();
    const after = { after: Object.keys(process.env).sort(), limits: off ? text('/proc/self/limits') : '' };
    writeSync(
      3,
      JSON.stringify({ ...before, ...after, execArgv: process.execArgv, tz: new Date().getTimezoneOffset() }),
    );
  },
  /** Works with the fds 4 (a file to read), 5 (a file to write) and 6 (a listening socket). */
  fds: async () => {
    const sandbox = await enterSandbox();
    const bytes = Buffer.alloc(100);
    const read = bytes.toString('latin1', 0, readSync(takeInheritedFd(4).move(), bytes));
    writeSync(5, `${read}, written`);
    const server = createServer((socket) => socket.end('hello').on('close', () => server.close()));
    server.listen({ fd: 6 }, () => sandbox.ready());
  },
  /** Writes to a terminal, or what it takes for one. */
  writing: async () => {
    const sandbox = await enterSandbox();
    console.log(`tty ${process.stdout.isTTY ? 'yes' : 'no'} \x1b[31mred\x07`);
    sandbox.ready();
  },
  workload: async () => {
    const sandbox = await enterSandbox();
    const outcome = await runWorkload();
    sandbox.ready();
    writeSync(3, JSON.stringify(outcome));
  },
  /** A starter, to be killed: prints the pid of its daemon. */
  starter: async () => {
    const mode = process.argv[3] === 'off' ? 'off' : 'on';
    const daemon = startDaemon({ mode, script: daemonProcesses, args: ['idle'], fds: [] });
    await daemon.ready;
    console.log(daemon.pid);
    await daemon.exit;
  },
  /** A starter whose daemon writes. */
  'writing-starter': async () => {
    const daemon = startDaemon({ mode: 'on', script: daemonProcesses, args: ['writing'], fds: [] });
    await daemon.exit;
  },
};

if (process.argv[1] === daemonProcesses) await roles[process.argv[2] ?? '']?.();
