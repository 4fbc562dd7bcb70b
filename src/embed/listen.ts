// Where can an embedded monitor listen, and how is that written?
import { OwnedFd } from '../fds/index.ts';
import { adoptListener, listenInet, listenUnix, type Listener } from '../socket/index.ts';

/** Where a monitor listens. */
export type ListenAddress =
  /** The path of a Unix socket, made anew; `@name` is a name in Linux's abstract namespace. */
  | string
  /** The same, with the mode of the socket's file: 0o600 lets only this user connect. */
  | { readonly path: string; readonly mode?: number }
  /** A TCP port of a numeric host; 0 takes a free one. No fds come this way. */
  | { readonly host: string; readonly port: number }
  /** A listening socket made elsewhere (an inherited fd, systemd's), owned by the monitor from now on. */
  | OwnedFd;

export interface ListenOptions {
  /** What commands and the ledger call this way in. Default: `monitor0`, `monitor1` … */
  readonly id?: string;
  /** Messages over several lines. Default: false. */
  readonly pretty?: boolean;
}

/** @throws SystemError the socket cannot be bound, or the fd is not a stream socket; an fd is closed then */
export function listenAt(address: ListenAddress): Listener {
  if (address instanceof OwnedFd) return adoptListener(address);
  if (typeof address === 'string') return listenUnix(address);
  if ('host' in address) return listenInet(address.host, address.port);
  return listenUnix(address.path, address.mode === undefined ? {} : { mode: address.mode });
}
