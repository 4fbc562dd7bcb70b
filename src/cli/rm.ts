// fdset rm TARGET SET[:FD]: remove a set, or one fd of it. The smallest verb: copy it for a new one.
import { type Command, InvalidArgumentError } from 'commander';

import { parseSetId } from './add.ts';
import { type ConnectionOptions, withClient, withConnectionOptions } from './target-client.ts';

export function addRmCommand(program: Command): void {
  withConnectionOptions(program.command('rm'))
    .summary('remove an fd set, or one fd of it, from a QMP server')
    .argument('<target>', 'path of a QMP socket, or host:port')
    .argument('<set[:fd]>', 'as fdset ls shows them', parseMember)
    .action(async (target: string, { set, fd }: Member, options: ConnectionOptions) => {
      const args = { 'fdset-id': set, ...(fd !== undefined && { fd }) };
      await withClient(target, options, (client) =>
        client.execute('remove-fd', args, { timeoutMs: options.timeout * 1000 }),
      );
    });
}

interface Member {
  readonly set: bigint;
  readonly fd: number | undefined;
}

function parseMember(text: string): Member {
  const match = /^([^:]*)(?::(\d{1,10}))?$/.exec(text);
  if (!match) throw new InvalidArgumentError('give SET or SET:FD, as fdset ls shows them');
  return { set: parseSetId(match[1]!), fd: match[2] === undefined ? undefined : Number(match[2]) };
}
