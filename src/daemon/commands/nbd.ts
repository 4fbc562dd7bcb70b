// Starting and stopping the NBD server: nbd-server-start, nbd-server-stop, and the option --nbd-server.
import { flattenAddress } from '../../chardev/index.ts';
import { FdsetError } from '../../errors.ts';
import type { CommandContext, CommandRegistry } from '../../monitor/index.ts';
import {
  nbdServerStart,
  nbdServerStop,
  type NbdServerOptions as NbdServerOption,
} from '../../qapi/schema/block-export.ts';
import { listenOn, type TakeFd } from '../../socket/index.ts';
import type { BlockExports } from '../block-exports.ts';
import type { InheritedFds } from '../inherited-fds.ts';
import type { Explain } from '../sandbox-hint.ts';

/** @param explain what an error of nbd-server-start says */
export function registerNbdCommands(
  registry: CommandRegistry,
  exports: BlockExports,
  inherited: InheritedFds,
  explain: Explain,
): void {
  registry.register(nbdServerStart, async ({ addr, ...options }, context) => {
    try {
      const address = flattenAddress(addr);
      await startNbdServer(exports, { ...options, addr: address }, namedOrInherited(context, inherited));
    } catch (error) {
      if (!(error instanceof FdsetError)) throw error;
      throw new FdsetError(error.code, explain(error), { cause: error });
    }
  });
  registry.register(nbdServerStop, () => exports.stopServer());
}

/**
 * Starts the NBD server as an option or a command says.
 *
 * @param takeFd gives away the fd that an address names
 * @throws FdsetError with QEMU's text
 */
export async function startNbdServer(exports: BlockExports, options: NbdServerOption, takeFd: TakeFd): Promise<void> {
  exports.checkNoServer();
  const credentials = options['tls-creds'];
  if (credentials !== undefined) {
    throw new FdsetError('ERR_FDSET_NBD_SERVER', `No TLS credentials with id '${credentials}'`);
  }
  const listener = await listenOn(options.addr, takeFd);
  exports.startServer(listener, {
    maxConnections: options['max-connections'],
    handshakeMaxSeconds: options['handshake-max-seconds'],
  });
}

/** A string of digits is the number of an fd of the process, anything else a name of getfd. */
function namedOrInherited(context: CommandContext, inherited: InheritedFds): TakeFd {
  return (str) => (/^\d+$/.test(str) ? inherited.take(Number(str)) : context.namedFds.take(str));
}
