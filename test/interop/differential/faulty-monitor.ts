// Our monitor with one fault, for faults.test.ts: does the harness find it?
//
//   node dist/test/interop/differential/faulty-monitor.js FAULT SOCKET...
import { dupFd } from '../../../src/addon/index.ts';
import { BlockGraph, fileOpener } from '../../../src/block/index.ts';
import { SocketChardev } from '../../../src/chardev/index.ts';
import { registerBlockCommands } from '../../../src/daemon/commands/block.ts';
import { FdsetError } from '../../../src/errors.ts';
import { FdsetTable, noFdSupplied, OwnedFd } from '../../../src/fds/index.ts';
import {
  type CommandContext,
  CommandRegistry,
  createMonitorShared,
  Monitor,
  PROFILE_10_0,
  registerControlCommands,
  registerIntrospectCommands,
  registerJobCommands,
} from '../../../src/monitor/index.ts';
import { PRETTY } from './script.ts';
import { addFd, closefd, getfd, queryFdsets, removeFd } from '../../../src/qapi/schema/misc.ts';

const faults = {
  none: {},
  /** Of set 2 the file of the first add-fd is kept instead. */
  'wrong-fd': { keep: keepFirst },
  /** What is stored as "b" stays open for ever. */
  'leaked-fd': { store: (fd: OwnedFd, name: string) => void (name === 'b' && dupFd(fd.fd)) },
  /** A number that was in use before is reported as the next one. */
  'reused-number': { report: (fd: number) => (given.has(fd) ? fd + 1 : (given.add(fd), fd)) },
  /** The fds of a set are listed newest first where there are three. */
  'order-swapped': { list: <T>(fds: readonly T[]) => (fds.length >= 3 ? [...fds].reverse() : [...fds]) },
  /** One character of one error is another. */
  'text-changed': { text: (message: string) => message.replace('not found', 'not foumd') },
} satisfies Record<string, Fault>;

interface Fault {
  readonly keep?: (fd: OwnedFd, set: unknown) => OwnedFd;
  readonly store?: (fd: OwnedFd, name: string) => void;
  readonly report?: (fd: number) => number;
  readonly list?: <T>(fds: readonly T[]) => T[];
  readonly text?: (message: string) => string;
}

const given = new Set<number>();
let first: OwnedFd | undefined;

function keepFirst(fd: OwnedFd, set: unknown): OwnedFd {
  first ??= fd.dup();
  if (set !== 2) return fd;
  fd.close();
  return first.dup();
}

const [name, ...paths] = process.argv.slice(2);
const { keep, store, report, list, text }: Fault = faults[name as keyof typeof faults];

const fdsets = new FdsetTable();
const registry = new CommandRegistry();
registerControlCommands(registry, { profile: PROFILE_10_0, onQuit: () => process.exit() });
registerIntrospectCommands(registry);
registerJobCommands(registry, new Map());
registerBlockCommands(registry, new BlockGraph({ openFile: fileOpener(fdsets) }));
registry.register(addFd, ({ 'fdset-id': fdsetId, opaque }, context) => {
  const received = takeFd(context);
  const added = fdsets.add(keep?.(received, fdsetId) ?? received, { fdsetId, opaque, addedBy: context.origin });
  return { 'fdset-id': added.fdsetId, fd: report?.(added.fd) ?? added.fd };
});
registry.register(removeFd, ({ 'fdset-id': fdsetId, fd }) => fdsets.remove(fdsetId, fd));
registry.register(queryFdsets, () => fdsets.query().map((set) => ({ ...set, fds: list?.(set.fds) ?? set.fds })));
registry.register(getfd, ({ fdname }, context) => {
  const fd = takeFd(context);
  store?.(fd, fdname);
  return context.namedFds.set(fdname, fd);
});
registry.register(closefd, ({ fdname }, context) => {
  try {
    return context.namedFds.close(fdname);
  } catch (error) {
    if (text === undefined || !(error instanceof FdsetError)) throw error;
    throw new FdsetError(error.code, text(error.message), { cause: error });
  }
});
const shared = createMonitorShared(registry);
const monitors = paths.map((path, index) => {
  return new Monitor(new SocketChardev(`c${index}`, { path }), shared, { pretty: index === PRETTY });
});
process.once('SIGTERM', () => void Promise.all(monitors.map((monitor) => monitor.close())));

function takeFd(context: CommandContext): OwnedFd {
  const fd = context.takeFd();
  if (fd === null) throw noFdSupplied();
  return fd;
}
