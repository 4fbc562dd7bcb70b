// How do files get to a server, and away again? add-fd and getfd with the fd in the same sendmsg, and their undoing.
//
// A call that is given up may still be carried out: then what it added is removed when the reply comes.
import { randomBytes } from 'node:crypto';

import { OwnedFd } from '../fds/index.ts';
import type { JsonOutput } from '../json/index.ts';
import type { QmpVersion } from '../qmp/index.ts';
import { noFdsError, timeoutError, unsupportedError } from './client-error.ts';
import { fileToPass, type QmpFile } from './passed-file.ts';
import { QmpError } from './qmp-error.ts';
import type { ExecuteOptions } from './session.ts';
import { startTimer } from './timer.ts';

/** What of a client the functions here use. */
export interface Executor {
  readonly version: QmpVersion;
  /** Why fds cannot be sent; undefined where they can. */
  readonly noFds: string | undefined;
  run(command: string, args?: JsonOutput, options?: ExecuteOptions): Promise<unknown>;
  /** The same also while the client is being closed, which waits for it: what takes back what a call has done. */
  undo(command: string, args: JsonOutput): Promise<unknown>;
}

/** The number of a set: exact, so a bigint where a number is not. */
export type SetId = number | bigint;

export interface PassOptions {
  /** Hands over the open file description itself, for whose flags and offset the server is one more user. */
  readonly share?: boolean;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface AddFdOptions extends PassOptions {
  /** The set to add to. Default: a new one. */
  readonly set?: SetId;
  /** A note that the server keeps with the fd. */
  readonly opaque?: string;
}

/** An fd in a set of the server. */
export interface AddedFd {
  readonly set: SetId;
  /** Its number in the server's process, by which it can be removed. */
  readonly fd: number;
  /** What to open: `/dev/fdset/N`. */
  readonly path: string;
}

/** A set as the server lists it. */
export interface FdSet {
  readonly set: SetId;
  readonly fds: readonly { readonly fd: number; readonly opaque?: string }[];
}

/** A set that exists while a function runs. */
export interface OpenFdSet {
  readonly set: SetId;
  readonly path: string;
  /** The numbers in the server's process, in the order of the files. */
  readonly fds: readonly number[];
}

/** Passes a file into a set. */
export async function addFd(client: Executor, file: QmpFile, options: AddFdOptions = {}): Promise<AddedFd> {
  const { set, opaque } = options;
  const args = { ...(set !== undefined && { 'fdset-id': set }), ...(opaque !== undefined && { opaque }) };
  const added = await pass(client, 'add-fd', args, file, options, (late) => {
    const { set: from, fd } = addedFd(late);
    return client.undo('remove-fd', { 'fdset-id': from, fd });
  });
  return addedFd(added);
}

function addedFd(reply: unknown): AddedFd {
  const { 'fdset-id': set, fd } = reply as { readonly 'fdset-id': SetId; readonly fd: number | bigint };
  return { set, fd: Number(fd), path: `/dev/fdset/${set}` };
}

/** Removes one fd of a set, or all that are left of it. Those who have opened it keep it open. */
export async function removeFd(client: Executor, set: SetId, fd?: number, options?: ExecuteOptions): Promise<void> {
  await run(client, 'remove-fd', { 'fdset-id': set, ...(fd !== undefined && { fd }) }, options);
}

/** The sets of the server. */
export async function queryFdsets(client: Executor, options?: ExecuteOptions): Promise<FdSet[]> {
  interface Info {
    readonly 'fdset-id': SetId;
    readonly fds: readonly { readonly fd: number | bigint; readonly opaque?: string }[];
  }
  const sets = (await run(client, 'query-fdsets', undefined, options)) as readonly Info[];
  return sets.map(({ 'fdset-id': set, fds }) => ({
    set,
    fds: fds.map(({ fd, opaque }) => ({ fd: Number(fd), ...(opaque !== undefined && { opaque }) })),
  }));
}

/** Passes a file under a name, for commands that take the name. */
export async function getFd(client: Executor, file: QmpFile, name: string, options: PassOptions = {}): Promise<void> {
  await pass(client, 'getfd', { fdname: name }, file, options, () => client.undo('closefd', { fdname: name }));
}

/** Closes a file that was passed under a name and not taken. */
export async function closeFd(client: Executor, name: string, options?: ExecuteOptions): Promise<void> {
  await run(client, 'closefd', { fdname: name }, options);
}

/** What it takes to clean up where the connection may be gone. */
export interface FdsetOwner extends Executor {
  /** Runs `use` over this connection, or over another to the same server where this one is lost. */
  cleanUp(use: (client: Executor, isOther: boolean) => Promise<void>): Promise<void>;
}

/** Passes files into one set, runs `use`, and removes what was added, whatever happens. */
export async function withFdset<T>(
  client: FdsetOwner,
  files: readonly QmpFile[],
  use: (set: OpenFdSet) => Promise<T> | T,
  options: AddFdOptions = {},
): Promise<T> {
  if (files.length === 0) throw new TypeError('withFdset needs at least one file');
  // So that after a lost connection it is certain that these are the fds that were added here.
  const opaque = options.opaque ?? `fdset ${process.pid} ${randomBytes(6).toString('hex')}`;
  const added: AddedFd[] = [];
  let done = false;
  try {
    for (const file of files) {
      const set = added[0]?.set ?? options.set;
      added.push(await addFd(client, file, { ...options, opaque, ...(set !== undefined && { set }) }));
    }
    const { set, path } = added[0]!;
    const result = await use({ set, path, fds: added.map(({ fd }) => fd) });
    done = true;
    return result;
  } finally {
    for (const file of files) if (file instanceof OwnedFd) file[Symbol.dispose]();
    const removed = client.cleanUp((now, isOther) => removeAll(now, added, isOther ? opaque : undefined));
    // What `use` has thrown matters more than what cleaning up has.
    await (done ? removed : removed.catch(() => undefined));
  }
}

/** @param opaque given where it has to be made sure that they still are the same */
async function removeAll(client: Executor, added: readonly AddedFd[], opaque: string | undefined): Promise<void> {
  const options = { timeoutMs: 5000 };
  const present = opaque === undefined ? undefined : await queryFdsets(client, options);
  for (const { set, fd } of added) {
    const members = present?.find((each) => BigInt(each.set) === BigInt(set))?.fds;
    if (present !== undefined && !members?.some((each) => each.fd === fd && each.opaque === opaque)) continue;
    try {
      await removeFd(client, set, fd, options);
    } catch (error) {
      if (!(error instanceof QmpError)) throw error; // it is gone: somebody else was faster
    }
  }
}

function run(client: Executor, command: string, args?: object, options?: ExecuteOptions): Promise<unknown> {
  return client.run(command, args as JsonOutput | undefined, options);
}

/** Sends a file with a command. `undo` is called where the command succeeds after it was given up. */
async function pass(
  client: Executor,
  command: string,
  args: object,
  file: QmpFile,
  options: PassOptions,
  undo: (reply: unknown) => Promise<unknown>,
): Promise<unknown> {
  let fd: OwnedFd | undefined = file instanceof OwnedFd ? file : undefined;
  let reply: Promise<unknown>;
  try {
    options.signal?.throwIfAborted();
    checkFiles(client, command);
    fd = await fileToPass(file, options.share);
    options.signal?.throwIfAborted();
    reply = run(client, command, args, { fds: [fd.fd] });
  } finally {
    fd?.[Symbol.dispose](); // what had to wait was duplicated
  }
  return options.signal === undefined && options.timeoutMs === undefined
    ? reply
    : unlessGivenUp(reply, command, options, undo);
}

/** QEMU has fd sets since 1.3, which is older than anything that is still run, but a greeting costs nothing to read. */
function checkFiles({ noFds, version }: Executor, command: string): void {
  if (noFds !== undefined) throw noFdsError(`${command}: files cannot be passed because ${noFds}`);
  const { major, minor } = version.qemu;
  if (command === 'add-fd' && (major < 1 || (major === 1 && minor < 3))) {
    throw unsupportedError(`${command}: the server is QEMU ${major}.${minor}, and fd sets came with QEMU 1.3`);
  }
}

function unlessGivenUp(
  reply: Promise<unknown>,
  command: string,
  { signal, timeoutMs }: PassOptions,
  undo: (reply: unknown) => Promise<unknown>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let givenUp = false;
    const giveUp = (error: unknown): void => {
      givenUp = true;
      reject(error);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const late = (): void => giveUp(timeoutError(`${command}: no reply within ${timeoutMs} ms`));
    const timer = startTimer(timeoutMs, late);
    signal?.addEventListener('abort', onAbort, { once: true });
    reply
      .then((value) => (givenUp ? undo(value) : resolve(value)))
      .catch(reject)
      .finally(() => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      });
  });
}
