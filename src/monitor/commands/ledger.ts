// Which files are in fd sets, from whom, and who uses them? Extensions of ours: x-query-fds, x-fdset-events.
//
// What is said of a file comes from the kernel's memory: nothing here waits for a file system whose server is dead.
import { readlinkSync } from 'node:fs';
import { fileFacts, getStatusFlags, O } from '../../addon/index.ts';
import type { DupRecord, FdOrigin, FdsetChange, FdsetTable, MemberRecord } from '../../fds/index.ts';
import {
  xFdsetDescriptionShared,
  xFdsetDupClosed,
  xFdsetDupOpened,
  xFdsetEvents,
  xFdsetFdAdded,
  xFdsetFdRemoved,
  xQueryFds,
  type XFdset,
} from '../../qapi/schema/x-fds.ts';
import type { CommandRegistry } from '../registry.ts';
import type { RequestedEvents } from '../requested-events.ts';

export interface LedgerOptions {
  readonly fdsets: FdsetTable;
  readonly events: RequestedEvents;
  /** The ids of the exports that use each holder of dups. Default: there are none. */
  readonly exportsByHolder?: () => ReadonlyMap<string, readonly string[]>;
  /** Told, as a sentence, when two holders come to write through one open file description. */
  readonly onWarning?: (text: string) => void;
}

const topic = xFdsetEvents.name;
const ledgerEvents = [xFdsetFdAdded, xFdsetFdRemoved, xFdsetDupOpened, xFdsetDupClosed, xFdsetDescriptionShared];

/** Adds the commands, and listens to the changes of the sets. */
export function registerLedgerCommands(registry: CommandRegistry, options: LedgerOptions): void {
  const { fdsets, events, exportsByHolder = () => new Map<string, string[]>(), onWarning } = options;
  for (const definition of ledgerEvents) registry.declareEvent(definition);
  registry.register(xFdsetEvents, ({ enable }, context) => context.requestEvents(topic, enable));
  registry.register(xQueryFds, () => queryFds(fdsets, exportsByHolder()));
  fdsets.onChange = (change) => {
    if (change.kind === 'description-shared') onWarning?.(sharedText(change));
    if (events.isRequested(topic)) tell(change, events);
  };
}

function queryFds(fdsets: FdsetTable, exports: ReadonlyMap<string, readonly string[]>): XFdset[] {
  return fdsets.records().map(({ fdsetId, fds, dups }) => ({
    'fdset-id': fdsetId,
    fds: fds.map(describeMember),
    dups: dups.map((dup) => describeDup(dup, exports.get(dup.holder) ?? [])),
  }));
}

function describeMember({ fd, opaque, addedAt, addedBy }: MemberRecord): XFdset['fds'][number] {
  return { ...describeFile(fd), opaque, added: timeOf(addedAt), 'added-by': originFor(addedBy) };
}

/** What was written down about the giver: by a session, or by the option --add-fd. */
function originFor(addedBy: FdOrigin | undefined): XFdset['fds'][number]['added-by'] {
  if (addedBy === undefined) return undefined;
  const { commandLine, ...origin } = addedBy;
  return commandLine === undefined ? origin : { ...origin, 'command-line': commandLine === true };
}

function describeDup(dup: DupRecord, exports: readonly string[]): XFdset['dups'][number] {
  const { fd, member, holder, filename, openedAt, sharedWith } = dup;
  return {
    ...describeFile(fd),
    member,
    holder,
    exports,
    filename,
    opened: timeOf(openedAt),
    'shared-with': sharedWith,
  };
}

type FileInfo = Pick<XFdset['fds'][number], 'fd' | 'access' | 'flags' | 'type' | 'device' | 'inode' | 'size' | 'path'>;

function describeFile(fd: number): FileInfo {
  const flags = getStatusFlags(fd);
  return { fd, access: accessOf(flags), flags: namesOf(flags), ...factsOf(fd), path: pathOf(fd) };
}

function accessOf(flags: number): FileInfo['access'] {
  if ((flags & O.O_PATH) !== 0) return 'path';
  const mode = flags & O.O_ACCMODE;
  return mode === O.O_RDONLY ? 'read-only' : mode === O.O_WRONLY ? 'write-only' : 'read-write';
}

const namedFlags = ['O_APPEND', 'O_NONBLOCK', 'O_ASYNC', 'O_DIRECT', 'O_NOATIME', 'O_DIRECTORY', 'O_NOFOLLOW'] as const;

function namesOf(flags: number): string[] {
  const names: string[] = namedFlags.filter((name) => (flags & O[name]) !== 0);
  if ((flags & O.O_SYNC) === O.O_SYNC) names.push('O_SYNC');
  else if ((flags & O.O_DSYNC) !== 0) names.push('O_DSYNC');
  return names;
}

function factsOf(fd: number): Pick<FileInfo, 'type' | 'device' | 'inode' | 'size'> {
  try {
    const { type, device, inode, size } = fileFacts(fd);
    const hasSize = type === 'regular' || type === 'block';
    return { type, device, inode: exact(inode), ...(hasSize && { size: exact(size) }) };
  } catch {
    return {}; // a kernel before statx(2)
  }
}

/** The kernel's own name for the open file. It follows no link and asks no file system. */
function pathOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined; // no /proc here
  }
}

function exact(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function timeOf(milliseconds: number): { seconds: number; microseconds: number } {
  return { seconds: Math.floor(milliseconds / 1000), microseconds: (milliseconds % 1000) * 1000 };
}

type SharedChange = Extract<FdsetChange, { kind: 'description-shared' }>;

function sharedText({ dup, writers }: SharedChange): string {
  const others = writers.map(({ holder, filename }) => `${holder} (${filename})`).join(' and ');
  return (
    `${dup.holder} (${dup.filename}) writes through the same open file description as ${others}: ` +
    'image locks cannot keep them apart'
  );
}

function tell(change: FdsetChange, events: RequestedEvents): void {
  const where = { 'fdset-id': change.fdsetId };
  switch (change.kind) {
    case 'fd-added': {
      const { fd, opaque, addedBy } = change.member;
      return events.send(topic, xFdsetFdAdded, { ...where, fd, opaque, 'added-by': originFor(addedBy) });
    }
    case 'fd-removed': {
      const { fd, opaque } = change.member;
      return events.send(topic, xFdsetFdRemoved, { ...where, fd, opaque });
    }
    case 'dup-opened': {
      const { fd, member, holder, filename } = change.dup;
      return events.send(topic, xFdsetDupOpened, { ...where, fd, member, holder, filename });
    }
    case 'dup-closed': {
      const { fd, holder, filename } = change.dup;
      return events.send(topic, xFdsetDupClosed, { ...where, fd, holder, filename });
    }
    case 'description-shared': {
      const { fd, holder, filename } = change.dup;
      const shared = { ...where, fd, holder, filename, 'shared-with': change.writers };
      return events.send(topic, xFdsetDescriptionShared, shared);
    }
  }
}
