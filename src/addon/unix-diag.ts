// Who is at the other end of the connections to a Unix socket? See native/unix_diag.c.
import { loadAddon } from './load.ts';
import { SystemError } from './system-error.ts';

interface UnixDiag {
  unixSocketPeers(inode: number): number[] | number;
}

/**
 * The inodes of the sockets that are connected to the Unix socket bound to a file, as `/proc/PID/fd` shows them
 * (`socket:[INODE]`).
 *
 * @param inode the inode of the bound file (stat(2))
 * @throws SystemError where the kernel has no socket diagnostics for Unix sockets
 * Source: sock_diag(7).
 */
export function unixSocketPeers(inode: number): number[] {
  const result = (loadAddon() as UnixDiag).unixSocketPeers(inode);
  if (typeof result === 'number') throw new SystemError(-result, 'sock_diag');
  return result;
}
