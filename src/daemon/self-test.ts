// Is opening a file refused, wherever this process can try it? Four places, since each has threads of its own: the main
// thread, libuv's pool, our own pool, a worker. The worker is started before the doors close and asked afterwards.
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';

import { O, SystemError, close as closeInIoPool, open as openInIoPool } from '../addon/index.ts';
import type { OpenOutcome, SelfTestResult } from './sandbox-report.ts';

type Place = SelfTestResult['thread'];

const workerCode = `
const { closeSync, openSync } = require('node:fs');
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (path) => {
  let outcome = 'opened';
  try {
    closeSync(openSync(path, 'r'));
  } catch (error) {
    outcome = error.code;
  }
  parentPort.postMessage(outcome);
});
`;

/** The places to try from; `end` stops the worker. */
export interface SelfTest {
  /** Opens `path` for reading in every place. */
  tryOpen(path: string): Promise<ReadonlyMap<Place, OpenOutcome>>;
  end(): Promise<void>;
}

export function startSelfTest(): SelfTest {
  const worker = new Worker(workerCode, { eval: true, env: {}, execArgv: [] });
  return {
    tryOpen: async (path) =>
      new Map<Place, OpenOutcome>([
        ['main', tryInMainThread(path)],
        ['pool', await tryInPool(path)],
        ['io-pool', await tryInIoPool(path)],
        ['worker', await tryInWorker(worker, path)],
      ]),
    end: async () => {
      await worker.terminate();
    },
  };
}

function tryInMainThread(path: string): OpenOutcome {
  try {
    closeSync(openSync(path, 'r'));
    return 'opened';
  } catch (error) {
    return outcomeOf(error);
  }
}

async function tryInPool(path: string): Promise<OpenOutcome> {
  try {
    const handle = await open(path, 'r');
    await handle.close();
    return 'opened';
  } catch (error) {
    return outcomeOf(error);
  }
}

async function tryInIoPool(path: string): Promise<OpenOutcome> {
  try {
    await closeInIoPool(await openInIoPool(path, O.O_RDONLY));
    return 'opened';
  } catch (error) {
    return outcomeOf(error);
  }
}

async function tryInWorker(worker: Worker, path: string): Promise<OpenOutcome> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (outcome: OpenOutcome) => {
      worker.off('error', reject);
      resolve(outcome);
    });
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker, not a window
    worker.postMessage(path);
  });
}

function outcomeOf(error: unknown): OpenOutcome {
  if (error instanceof SystemError) return error.errnoName;
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
