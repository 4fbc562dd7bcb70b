// Where can a socket be, and how is that written?
import { inetAddress, socketName, unixAddress } from '../addon/index.ts';

/** A Unix socket. */
export interface UnixSocketAddress {
  readonly type: 'unix';
  /** A path; `@name` is a name in Linux's abstract namespace (a file of that name is `./@name`); empty: no name. */
  readonly path: string;
}

/** A TCP socket. */
export interface InetSocketAddress {
  readonly type: 'inet';
  /** Numeric. */
  readonly host: string;
  readonly port: number;
}

export type SocketAddress = UnixSocketAddress | InetSocketAddress;

/** For people and logs: a path, `@name`, `127.0.0.1:10809`, `[::1]:10809`. */
export function formatAddress(address: SocketAddress): string {
  if (address.type === 'unix') return address.path;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Whether a path names a socket in the abstract namespace, which no file stands for. */
export function isAbstract(path: string): boolean {
  return path.startsWith('@');
}

/**
 * The struct sockaddr_un of a path.
 * @throws SystemError ENAMETOOLONG above 108 bytes; TypeError where it cannot be a path at all
 */
export function unixSockaddr(path: string): Buffer {
  if (path === '' || path.includes('\0')) throw new TypeError('the path of a socket is empty or contains a NUL');
  return unixAddress(Buffer.from(isAbstract(path) ? `\0${path.slice(1)}` : path));
}

/**
 * The struct sockaddr_in or sockaddr_in6 of a numeric host.
 * @throws SystemError EINVAL where the host is a name
 */
export function inetSockaddr(host: string, port: number): Buffer {
  return inetAddress(host, port);
}

/** What a socket is bound to. */
export function localAddress(fd: number): SocketAddress {
  const name = socketName(fd, false);
  if (!('path' in name)) return { type: 'inet', host: name.host, port: name.port };
  const path = name.path.toString();
  return { type: 'unix', path: path.startsWith('\0') ? `@${path.slice(1)}` : path };
}
