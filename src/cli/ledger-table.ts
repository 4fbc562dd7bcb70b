// How does the ledger of a server look on a terminal? A row for each fd of a set and for each that was opened from it.
import type { LedgerDup, LedgerFd, LedgerFile, LedgerOrigin, LedgerSet } from './fd-ledger.ts';
import { type Cell, formatSize, formatTable, printable } from './table.ts';

const header = ['SET', 'FD', 'ACCESS', 'SIZE', 'OPAQUE', 'ADDED BY', 'USED BY', 'FILE'];

/** A table, or a sentence where there are no sets. Text of a peer is shown without control characters. */
export function formatLedger(sets: readonly LedgerSet[]): string {
  if (sets.length === 0) return 'no fd sets';
  const rows = sets.flatMap((set) => [
    ...set.fds.map((fd) => memberRow(set['fdset-id'], fd)),
    ...set.dups.map((dup) => dupRow(set['fdset-id'], dup)),
  ]);
  return formatTable(
    header,
    rows.map((row) => row.map((cell) => (typeof cell === 'string' ? printable(cell) : cell))),
  );
}

function memberRow(set: Cell, { fd, opaque = '', 'added-by': addedBy, ...file }: LedgerFd): Cell[] {
  return [set, fd, ...factsOf(file), opaque, originText(addedBy), '', file.path ?? ''];
}

function dupRow(set: Cell, { fd, holder, exports, ...file }: LedgerDup): Cell[] {
  const user = exports.length === 0 ? holder : `${holder}, export ${exports.join(', ')}`;
  return [set, fd ?? '?', ...factsOf(file), '', '', user, file.path ?? ''];
}

function factsOf({ access = '', size }: LedgerFile): Cell[] {
  return [access, size === undefined ? '' : formatSize(Number(size))];
}

function originText(origin: LedgerOrigin | undefined): string {
  if (origin === undefined) return '';
  if (origin['command-line'] === true) return '--add-fd';
  const process = origin.pid === undefined ? '' : `${origin.command ?? 'process'} (${origin.pid})`;
  return process || `monitor ${origin.monitor ?? '?'}`;
}
