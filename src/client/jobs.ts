// How does a job of QEMU become a promise? By waiting for its end, with what a job needs on the way.
//
//  status            | what is done
//  ------------------|---------------------------------------------------------------------------
//  ready             | onReady, then job-complete (mirrors and active commits wait for that)
//  pending           | job-finalize (where the caller has set auto-finalize to false)
//  concluded         | its error is read from query-jobs, then job-dismiss: resolves or rejects
//  null              | it is gone: somebody else has dismissed it
//  signal is aborted | job-cancel; the wait goes on to the end
//
// Source: QEMU's qapi/job.json; docs/reference/storage-daemon.md.
import { randomBytes } from 'node:crypto';

import { FdsetError } from '../errors.ts';
import type { JsonOutput } from '../json/index.ts';
import { closedError } from './client-error.ts';
import type { Executor } from './files.ts';
import { QmpError } from './qmp-error.ts';
import type { SchemaInfo } from './schema-info.ts';
import type { QmpEvent } from './typed.ts';

/** How far a job is, in units of its own: bytes for most. */
export interface JobProgress {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly current: number;
  readonly total: number;
}

export interface RunJobOptions {
  /** Cancels the job. The promise rejects with the signal's reason once the job has ended. */
  readonly signal?: AbortSignal;
  /** Told at first, every `progressIntervalMs`, and at the end. */
  readonly onProgress?: (progress: JobProgress) => void;
  /** Milliseconds. Default: 500. */
  readonly progressIntervalMs?: number;
  /** What to do before a job that is ready (a mirror, an active commit) is completed: awaited. */
  readonly onReady?: () => void | Promise<void>;
}

/** A job has ended with an error, the text of which is the server's. */
export class JobError extends FdsetError {
  readonly id: string;
  readonly desc: string;

  constructor(id: string, command: string, desc: string) {
    super('ERR_FDSET_QMP_JOB', `${command}: job '${id}': ${desc}`);
    this.id = id;
    this.desc = desc;
  }
}

/** What of a client is used here. */
export interface JobClient extends Pick<Executor, 'run'> {
  querySchema(): Promise<readonly SchemaInfo[]>;
  listen(names: string, listener: (event: QmpEvent) => void): () => void;
  /** Calls when the connection is lost or being closed. @returns what takes it away again */
  onLoss(lost: (cause: FdsetError | undefined) => void): () => void;
}

/** Arguments of a command that starts a job. */
export type JobArguments = { readonly [name: string]: JsonOutput | undefined };

/** Runs a command that starts a job, to the job's end. */
export async function runJob(
  client: JobClient,
  command: string,
  args: JobArguments,
  options: RunJobOptions = {},
): Promise<JobProgress> {
  options.signal?.throwIfAborted();
  const manual = (await takesArgument(client, command, 'auto-dismiss')) ? { 'auto-dismiss': false } : {};
  const id = typeof args['job-id'] === 'string' ? args['job-id'] : `job${randomBytes(6).toString('hex')}`;
  const job = new Job(client, id, command, args['auto-finalize'] === false, options);
  try {
    await client.run(command, { ...args, ...manual, 'job-id': id });
    return await job.ended();
  } finally {
    job.leave();
  }
}

/** Whether a command takes an argument: not every one that starts a job can be told to wait for its dismissal. */
async function takesArgument(client: JobClient, command: string, name: string): Promise<boolean> {
  const schema = await client.querySchema();
  const entry = schema.find((each) => each['meta-type'] === 'command' && each.name === command);
  if (entry?.['meta-type'] !== 'command') return false;
  const type = schema.find((each) => each.name === entry['arg-type'] && each['meta-type'] === 'object');
  return type?.['meta-type'] === 'object' && type.members.some((member) => member.name === name);
}

/** A job from the moment before it is started. What its events ask for is done in order. */
class Job {
  readonly #client: JobClient;
  readonly #id: string;
  readonly #command: string;
  readonly #finalizes: boolean;
  readonly #options: RunJobOptions;
  readonly #end: Promise<JobProgress>;
  readonly #stopListening: () => void;
  readonly #forgetLoss: () => void;
  #resolve!: (progress: JobProgress) => void;
  #reject!: (error: unknown) => void;
  #work: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #left = false;
  #asking = false;
  readonly #onAbort = (): void => this.#do(() => this.#unlessGone('job-cancel'));

  constructor(client: JobClient, id: string, command: string, finalizes: boolean, options: RunJobOptions) {
    this.#client = client;
    this.#id = id;
    this.#command = command;
    this.#finalizes = finalizes;
    this.#options = options;
    this.#end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#end.catch(() => undefined); // where the command fails nobody awaits it
    this.#stopListening = client.listen('JOB_STATUS_CHANGE', ({ data }) => {
      if (data['id'] === id) this.#changed(String(data['status']));
    });
    this.#forgetLoss = client.onLoss((cause) =>
      this.#reject(closedError(`${command}: the connection is gone, and job '${id}' may go on`, cause)),
    );
  }

  /** To be called once the job is started. */
  ended(): Promise<JobProgress> {
    const { signal, onProgress, progressIntervalMs = 500 } = this.#options;
    if (!this.#left && onProgress !== undefined) {
      this.#timer = setInterval(() => this.#tell(), progressIntervalMs);
      this.#tell();
    }
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
    return this.#end;
  }

  leave(): void {
    this.#left = true;
    this.#stopListening();
    this.#forgetLoss();
    clearInterval(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  #changed(status: string): void {
    if (status === 'ready') this.#do(() => this.#complete());
    else if (status === 'pending' && this.#finalizes) this.#do(() => this.#unlessGone('job-finalize'));
    else if (status === 'concluded') this.#do(() => this.#conclude());
    else if (status === 'null') this.#do(() => this.#settle(undefined));
  }

  #do(step: () => Promise<unknown> | void): void {
    this.#work = this.#work.then(step).catch((error: unknown) => this.#reject(error));
  }

  /** It may have ended in between. */
  async #unlessGone(command: string): Promise<void> {
    try {
      await this.#client.run(command, { id: this.#id });
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
    }
  }

  async #complete(): Promise<void> {
    await this.#options.onReady?.();
    if (this.#options.signal?.aborted !== true) await this.#unlessGone('job-complete');
  }

  async #conclude(): Promise<void> {
    const info = await this.#info();
    await this.#unlessGone('job-dismiss');
    this.#settle(info);
  }

  #settle(info: JobInfo | undefined): void {
    const { signal, onProgress } = this.#options;
    const progress = progressOf(this.#id, info);
    onProgress?.(progress);
    if (signal?.aborted === true) this.#reject(signal.reason);
    else if (info?.error !== undefined) this.#reject(new JobError(this.#id, this.#command, info.error));
    else this.#resolve(progress);
  }

  async #info(): Promise<JobInfo | undefined> {
    const jobs = (await this.#client.run('query-jobs')) as readonly JobInfo[];
    return jobs.find(({ id }) => id === this.#id);
  }

  /** Not more than one question at a time: a server may be busy. */
  #tell(): void {
    if (this.#asking) return;
    this.#asking = true;
    this.#info()
      .then((info) => {
        if (!this.#left && info !== undefined) this.#options.onProgress?.(progressOf(this.#id, info));
      })
      .catch((error: unknown) => this.#reject(error))
      .finally(() => (this.#asking = false));
  }
}

interface JobInfo {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly error?: string;
  readonly 'current-progress': number | bigint;
  readonly 'total-progress': number | bigint;
}

function progressOf(id: string, info: JobInfo | undefined): JobProgress {
  if (info === undefined) return { id, type: '', status: 'null', current: 0, total: 0 };
  const { type, status } = info;
  return { id, type, status, current: Number(info['current-progress']), total: Number(info['total-progress']) };
}
