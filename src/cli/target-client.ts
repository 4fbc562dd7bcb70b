// How does a verb reach the QMP server that the user named?
import { statSync } from 'node:fs';

import type { Command } from 'commander';

import { QmpClient, type QmpClientOptions, QmpError } from '../client/index.ts';
import { FdsetError } from '../errors.ts';
import { recordTo, type Recorder } from '../recording/index.ts';
import { CliError } from './cli-error.ts';
import { parseSeconds } from './seconds.ts';
import { parseTarget } from './target.ts';

/** The options of every verb that connects. */
export interface ConnectionOptions {
  /** Seconds for connecting, greeting and negotiation. */
  readonly timeout: number;
  /** A file to record the conversation in. */
  readonly record?: string;
}

export function withConnectionOptions(command: Command): Command {
  return command
    .option('--timeout <seconds>', 'how long the server may take to greet', parseSeconds, 5)
    .option('--record <file>', 'keep both directions, with the files that were passed, for fdset replay');
}

/** What the options mean to a client; who takes `record` closes it. */
export function connectOptions(options: ConnectionOptions): QmpClientOptions & { record: Recorder | undefined } {
  const record = options.record === undefined ? undefined : openRecord(options.record);
  return { timeoutMs: options.timeout * 1000, record, ...(record && { observer: record }) };
}

function openRecord(path: string): Recorder {
  try {
    return recordTo(path);
  } catch (error) {
    throw new CliError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Connects, runs `use`, and disconnects whatever happens. */
export async function withClient<T>(
  targetText: string,
  options: ConnectionOptions,
  use: (client: QmpClient) => Promise<T>,
): Promise<T> {
  const target = parseTarget(targetText);
  const { record, ...connect } = connectOptions(options);
  const address = target.type === 'unix' ? target.path : target;
  try {
    const client = await connectTo(targetText, () => QmpClient.connect(address, connect));
    try {
      return await use(client);
    } catch (error) {
      if (!(error instanceof FdsetError) || error instanceof CliError) throw error;
      throw new CliError(`${targetText}: ${hintFor(error)}`, { cause: error });
    } finally {
      await client.close();
    }
  } finally {
    record?.close();
  }
}

async function connectTo(targetText: string, connect: () => Promise<QmpClient>): Promise<QmpClient> {
  try {
    return await connect();
  } catch (error) {
    throw new CliError(`${targetText}: ${whyNot(error, targetText)}`, { cause: error });
  }
}

function whyNot(error: unknown, targetText: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const name = error instanceof FdsetError && 'errnoName' in error ? error.errnoName : undefined;
  if (name === 'ENOENT') return `${text}: nothing listens there yet`;
  // To the kernel both are refused connections.
  if (name === 'ECONNREFUSED' && isOtherFile(targetText)) return 'this is not a socket';
  if (name === 'ECONNREFUSED') return `${text}: the program that listened there has gone`;
  if (name === 'EACCES') return `${text}: run this as the user who owns the socket`;
  return text;
}

function isOtherFile(targetText: string): boolean {
  const target = parseTarget(targetText);
  const stat = target.type === 'unix' ? statSync(target.path, { throwIfNoEntry: false }) : undefined;
  return stat !== undefined && !stat.isSocket();
}

/** qemu-storage-daemon has no fd sets: say what has. */
function hintFor(error: FdsetError): string {
  const fdCommands = ['add-fd', 'remove-fd', 'query-fdsets'];
  if (error instanceof QmpError && error.class === 'CommandNotFound' && fdCommands.includes(error.command)) {
    return `${error.message}: this server has no fd sets (QEMU's emulator and fdset storage-daemon have)`;
  }
  return error.message;
}
