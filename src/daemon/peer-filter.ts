// Who may connect to the daemon's sockets? Everybody who can reach them, unless `--allow-uid` names users: then those,
// and root. The kernel says who is at the other end of a Unix socket (SO_PEERCRED, unix(7)); of TCP it says nothing.
import { socketPeerCred } from '../addon/index.ts';
import type { OwnedFd } from '../fds/index.ts';
import { type CommandLine, UsageError } from './options.ts';

/**
 * The filter that a command line asks for; the connection is lent to it.
 *
 * @throws UsageError where a user is not given by number
 */
export function peerFilter({ first }: CommandLine): (connection: OwnedFd) => boolean {
  const given = first.filter(({ name }) => name === 'allow-uid');
  if (given.length === 0) return () => true;
  const allowed = new Set([0, ...given.map(({ text, value }) => userId(text, value))]);
  return (connection) => {
    const peer = socketPeerCred(connection.fd);
    return peer === undefined || allowed.has(peer.uid);
  };
}

function userId(text: string, value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  throw new UsageError(`${text}: give the number of a user, as \`id -u\` prints it`);
}
