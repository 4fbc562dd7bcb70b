// The processes that the sandbox's tests run: a starter, the daemon that it starts, a worker of that. The daemon attacks
// and tells what came of it. Run as `node attack-processes.js starter MODE KIND`, it prints a `AttackRun` as JSON.
import { chmodSync, closeSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { closeFd, pipe, type ExitStatus } from '../../src/addon/index.ts';
import type { SandboxMode } from '../../src/daemon/sandbox-order.ts';
import type { SandboxReport } from '../../src/daemon/sandbox-report.ts';
import { enterSandbox } from '../../src/daemon/sandbox.ts';
import { startDaemon } from '../../src/daemon/starter.ts';
import {
  everyRefusedCall,
  fileAttacks,
  ioPoolAttacks,
  makeVictims,
  poolAttacks,
  rawAttacks,
  runAttacks,
  type Outcome,
} from './attacks.ts';

/** Where this file is, compiled. */
export const attackProcesses = fileURLToPath(import.meta.url);

/**
 * `all`: everything, in the main thread, the pools and a worker. `every-call`: all calls of the lists. `at-start`: all
 * before the daemon has closed the doors itself.
 */
export type AttackKind = 'all' | 'every-call' | 'at-start';

export interface AttackRun {
  readonly outcomes: Record<string, Outcome>;
  /** Undefined for `at-start`. */
  readonly report: SandboxReport | undefined;
  readonly exit: ExitStatus;
}

const outcomeFd = 3;

async function runStarter(mode: SandboxMode, kind: AttackKind): Promise<AttackRun> {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-attack-'));
  chmodSync(folder, 0o777);
  makeVictims(folder);
  const server = createServer((socket) => socket.destroy()).listen(join(folder, 'socket'));
  const [reading, writing] = pipe();
  const args = ['daemon', kind, folder];
  const daemon = startDaemon({ mode, script: attackProcesses, args, fds: [{ fd: writing, childFd: outcomeFd }] });
  closeFd(writing);
  let text = '';
  const socket = new Socket({ fd: reading, readable: true, writable: false }).setEncoding('utf8');
  for await (const part of socket as AsyncIterable<string>) text += part;
  const report = kind === 'at-start' ? undefined : await daemon.ready;
  const exit = await daemon.exit;
  server.close();
  rmSync(folder, { recursive: true });
  return { outcomes: JSON.parse(text) as Record<string, Outcome>, report, exit };
}

async function runDaemon(kind: AttackKind, folder: string): Promise<void> {
  const worker = new Worker(attackProcesses, { workerData: folder });
  // Its modules are loaded, which `online` does not say.
  await new Promise((resolve) => worker.once('message', resolve));
  const raw = rawAttacks();
  const every = everyRefusedCall();
  if (kind !== 'at-start') (await enterSandbox()).ready();
  const outcomes =
    kind === 'every-call'
      ? await runAttacks(every)
      : {
          ...(await runInWorker(worker)),
          ...(await runAttacks({ ...poolAttacks(folder), ...ioPoolAttacks(folder), ...fileAttacks(folder), ...raw })),
        };
  writeSync(outcomeFd, JSON.stringify(outcomes));
  closeSync(outcomeFd);
  await worker.terminate();
}

/** The victims that the worker has used up are made by nobody again, so it leaves those alone. */
const usedUp = ['create a file', 'rename', 'link', 'symlink', 'unlink', 'mkdir'];
const notForWorkers = ['chdir'];

async function runInWorker(worker: Worker): Promise<Record<string, Outcome>> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', resolve);
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker, not a window
    worker.postMessage('attack');
  });
}

function listenAsWorker(folder: string): void {
  const attacks = Object.entries(fileAttacks(folder)).filter(
    ([name]) => !usedUp.includes(name) && !notForWorkers.includes(name),
  );
  const named = Object.fromEntries(attacks.map(([name, attack]) => [`worker: ${name}`, attack]));
  const tell = (outcomes: Record<string, Outcome> | 'loaded'): void => {
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort!.postMessage(outcomes);
  };
  parentPort!.once('message', () => void runAttacks(named).then(tell));
  tell('loaded');
}

if (!isMainThread) {
  if (typeof workerData === 'string') listenAsWorker(workerData);
} else if (process.argv[1] === attackProcesses) {
  const [role, first, second] = process.argv.slice(2) as [string, string, string];
  if (role === 'starter') console.log(JSON.stringify(await runStarter(first as SandboxMode, second as AttackKind)));
  if (role === 'daemon') await runDaemon(first as AttackKind, second);
}
