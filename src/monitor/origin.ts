// Who is at the other end, as the ledger of fds keeps it?
import { readFileSync } from 'node:fs';
import type { FdOrigin } from '../fds/index.ts';
import type { PeerCredentials } from '../socket/index.ts';

/** The monitor that an fd came by, and the process that sent it as far as it can be known. */
export function originOf(monitorId: string, peer: PeerCredentials | undefined): FdOrigin {
  if (peer === undefined) return { monitor: monitorId };
  const command = commandOf(peer.pid);
  return { monitor: monitorId, pid: peer.pid, uid: peer.uid, gid: peer.gid, ...(command !== undefined && { command }) };
}

/**
 * The name of the process's first thread, as the process has set it. Not its command line: that lies in its memory, which
 * it can make wait for as long as it likes. Undefined where /proc cannot be read, as in a sandbox.
 */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
