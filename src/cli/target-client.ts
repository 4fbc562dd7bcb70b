// How does a verb reach the QMP server that the user named?
import { QmpClient, QmpError } from '../client/index.ts';
import { FdsetError } from '../errors.ts';
import { CliError } from './cli-error.ts';
import { parseTarget } from './target.ts';

/** How long a QMP server may take to answer, in milliseconds: one that another client holds never greets. */
const patience = 5000;

/** Connects, runs `use`, and disconnects whatever happens. */
export async function withClient<T>(targetText: string, use: (client: QmpClient) => Promise<T>): Promise<T> {
  const target = parseTarget(targetText);
  const address = target.type === 'unix' ? target.path : target;
  let client: QmpClient;
  try {
    client = await QmpClient.connect(address, { timeoutMs: patience });
  } catch (error) {
    throw new CliError(`${targetText}: ${whyNot(error)}`, { cause: error });
  }
  try {
    return await use(client);
  } catch (error) {
    if (!(error instanceof FdsetError) || error instanceof CliError) throw error;
    throw new CliError(`${targetText}: ${hintFor(error)}`, { cause: error });
  } finally {
    await client.close();
  }
}

function whyNot(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const name = error instanceof FdsetError && 'errnoName' in error ? error.errnoName : undefined;
  if (name === 'ENOENT') return `${text}: nothing listens there yet`;
  if (name === 'ECONNREFUSED') return `${text}: the program that listened there has gone`;
  if (name === 'EACCES') return `${text}: run this as the user who owns the socket`;
  return text;
}

/** qemu-storage-daemon has no fd sets: say what has. */
function hintFor(error: FdsetError): string {
  if (error instanceof QmpError && error.class === 'CommandNotFound') {
    return `${error.message}: this server has no fd sets (QEMU's emulator and fdset storage-daemon have)`;
  }
  return error.message;
}
