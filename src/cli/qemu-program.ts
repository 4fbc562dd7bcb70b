// How does one ask a QEMU program about itself? It is started without a machine, with its standard input and output as the
// monitor, asked, and told to quit.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';

import { QmpClient } from '../client/index.ts';
import { CliError } from './cli-error.ts';
import { connectOptions, type ConnectionOptions } from './target-client.ts';

const emulatorOptions = ['-machine', 'none', '-nodefaults', '-nographic', '-S', '-monitor', 'none', '-serial', 'none'];

/** Starts a program, runs `use`, and ends the program whatever happens. */
export async function withQemuProgram<T>(
  program: string,
  options: ConnectionOptions,
  use: (client: QmpClient) => Promise<T>,
): Promise<T> {
  const isDaemon = basename(program).includes('storage-daemon');
  const args = isDaemon
    ? ['--chardev', 'stdio,id=qmp', '--monitor', 'qmp']
    : [...emulatorOptions, '-chardev', 'stdio,id=qmp', '-mon', 'chardev=qmp,mode=control'];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-1000)));
  const { record, ...connect } = connectOptions(options);
  try {
    const client = await QmpClient.connect(child, connect);
    const result = await use(client);
    await client.execute('quit').catch(() => undefined); // it may be gone before it has answered
    await client.close();
    return result;
  } catch (error) {
    const [why] = said.trim().split('\n');
    throw new CliError(`${program}: ${why || (error as Error).message}`, { cause: error });
  } finally {
    await end(child);
    record?.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGKILL');
  await once(child, 'close');
}
