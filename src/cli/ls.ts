// fdset ls TARGET: the fd sets of a QMP server, real QEMU or ours.
import type { Command } from 'commander';

import type { Int64 } from '../fds/index.ts';
import { readLedger } from './fd-ledger.ts';
import { formatLedger } from './ledger-table.ts';
import { type ConnectionOptions, withClient, withConnectionOptions } from './target-client.ts';
import { formatTable, printable } from './table.ts';

export function addLsCommand(program: Command): void {
  withConnectionOptions(program.command('ls'))
    .summary('list the fd sets of a QMP server')
    .argument('<target>', 'path of a QMP socket, or host:port')
    .option('--long', 'with the files, who added them, and who uses them')
    .option('--json', 'a JSON array instead of a table')
    .action(async (target: string, options: ConnectionOptions & { json?: boolean; long?: boolean }) => {
      if (options.long === true) {
        const ledger = await withClient(target, options, readLedger);
        process.stdout.write(`${options.json ? JSON.stringify(ledger, exactly) : formatLedger(ledger)}\n`);
        return;
      }
      const members = await withClient(target, options, async (client) =>
        membersOf(await client.execute('query-fdsets', undefined, { timeoutMs: options.timeout * 1000 })),
      );
      process.stdout.write(`${options.json ? JSON.stringify(members) : describeFdsets(members)}\n`);
    });
}

/** JSON.stringify knows no bigint. */
function exactly(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** One fd of a set; `fd` is null for a set that only lives by its duplicates. */
interface Member {
  readonly 'fdset-id': string | number;
  readonly fd: number | null;
  readonly opaque: string | null;
}

/** What is known here of the answer: a newer server may say more. */
interface FdsetInfo {
  readonly 'fdset-id': Int64;
  readonly fds: readonly { readonly fd: number; readonly opaque?: string }[];
}

function membersOf(answer: unknown): Member[] {
  return (answer as FdsetInfo[]).flatMap(({ 'fdset-id': id, fds }): Member[] => {
    const member = { 'fdset-id': typeof id === 'number' ? id : id.toString() }; // JSON.stringify knows no bigint
    if (fds.length === 0) return [{ ...member, fd: null, opaque: null }];
    return fds.map(({ fd, opaque }) => ({ ...member, fd, opaque: opaque ?? null }));
  });
}

/** A table of fd sets as `query-fdsets` answers, or a sentence where there is none. */
export function formatFdsets(fdsets: unknown): string {
  return describeFdsets(membersOf(fdsets));
}

function describeFdsets(members: readonly Member[]): string {
  if (members.length === 0) return 'no fd sets';
  const rows = members.map(({ 'fdset-id': set, fd, opaque }) => [set, fd ?? 'in use', printable(opaque ?? '')]);
  return formatTable(['SET', 'FD', 'OPAQUE'], rows);
}
