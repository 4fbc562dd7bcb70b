// The fd commands of QEMU's qapi/misc.json: fd sets, which all monitors share, and the names of one monitor. This is the
// smallest module of commands; copy it for a new one. Rules: fdset.md sections 2 to 4 and 10.
import { type FdsetTable, noFdSupplied, type OwnedFd } from '../../fds/index.ts';
import { addFd, closefd, getfd, queryFdsets, removeFd } from '../../qapi/schema/misc.ts';
import type { CommandContext, CommandRegistry } from '../registry.ts';

/** @param fdsets the sets that the commands change; the registry's program owns them */
export function registerFdCommands(registry: CommandRegistry, fdsets: FdsetTable): void {
  registry.register(addFd, ({ 'fdset-id': fdsetId, opaque }, context) => {
    const { fdsetId: id, fd } = fdsets.add(takeFd(context), { fdsetId, opaque, addedBy: context.origin });
    return { 'fdset-id': id, fd };
  });
  registry.register(removeFd, ({ 'fdset-id': fdsetId, fd }) => fdsets.remove(fdsetId, fd));
  registry.register(queryFdsets, () => fdsets.query());
  registry.register(getfd, ({ fdname }, context) => context.namedFds.set(fdname, takeFd(context)));
  registry.register(closefd, ({ fdname }, context) => context.namedFds.close(fdname));
}

/** The fd that a command must have got. */
function takeFd(context: CommandContext): OwnedFd {
  const fd = context.takeFd();
  if (fd === null) throw noFdSupplied();
  return fd;
}
