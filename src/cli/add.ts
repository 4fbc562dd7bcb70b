// fdset add TARGET FILE: open a file as the user and pass it to a QMP server, real QEMU or ours.
import { type Command, InvalidArgumentError, Option } from 'commander';

import type { Int64 } from '../fds/index.ts';
import { CliError } from './cli-error.ts';
import { type AccessMode, openFile } from './open-file.ts';
import { parseTarget } from './target.ts';
import { type ConnectionOptions, withClient, withConnectionOptions } from './target-client.ts';

interface AddOptions extends ConnectionOptions {
  readonly mode: AccessMode;
  readonly direct?: boolean;
  readonly set?: bigint;
  readonly opaque?: string;
  readonly json?: boolean;
}

export function addAddCommand(program: Command): void {
  withConnectionOptions(program.command('add'))
    .summary('open a file and pass it to a QMP server')
    .argument('<target>', 'path of a QMP socket')
    .argument('<file>', 'an existing file; nothing is created')
    .addOption(new Option('--mode <mode>', 'how to open it').choices(['r', 'w', 'rw']).makeOptionMandatory())
    .option('--direct', 'with O_DIRECT, for cache.direct')
    .option('--set <id>', 'the set to add to; default: a new one', parseSetId)
    .option('--opaque <text>', 'a note that is kept with it')
    .option('--json', 'JSON instead of text')
    .action(add);
}

async function add(target: string, file: string, options: AddOptions): Promise<void> {
  if (parseTarget(target).type === 'inet') {
    throw new CliError(`${target}: files can be passed over a Unix socket only: give the path of one`, { exitCode: 2 });
  }
  const fd = openFile(file, options.mode, { direct: options.direct ?? false });
  try {
    const args = {
      ...(options.set !== undefined && { 'fdset-id': options.set }),
      ...(options.opaque !== undefined && { opaque: options.opaque }),
    };
    const added = await withClient(target, options, (client) =>
      client.execute('add-fd', args, { fds: [fd.fd], timeoutMs: options.timeout * 1000 }),
    );
    const { 'fdset-id': set, fd: number } = added as { readonly 'fdset-id': Int64; readonly fd: Int64 };
    const text = options.json
      ? `{"fdset-id":${set},"fd":${number}}`
      : `${file} is fd ${number} of set ${set}: /dev/fdset/${set}`;
    process.stdout.write(`${text}\n`);
  } finally {
    fd.close();
  }
}

/** The id of a set: 0 to 2^63 - 1. */
export function parseSetId(text: string): bigint {
  if (/^\d{1,19}$/.test(text) && BigInt(text) < 1n << 63n) return BigInt(text);
  throw new InvalidArgumentError('give the number of a set, as fdset ls shows it');
}
