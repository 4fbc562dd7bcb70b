// What does query-chardev call a socket? `disconnected:` and the address, or the two ends of the connection: as QEMU's
// chardev/char-socket.c prints them, brackets only around the numbers of a connection.
import { type NativeInetName, type NativeUnixName, socketName, SystemError } from '../addon/index.ts';
import type { SocketAddress as QapiAddress } from '../qapi/index.ts';
import type { SocketAddress } from '../socket/index.ts';

/** An address without what makes it a server, such as `unix:/run/qmp.sock` or `tcp:127.0.0.1:4444`. */
export type Described = string;

/** How the address of a listening socket is printed. */
export function describeListener(address: SocketAddress): Described {
  if (address.type === 'inet') return `tcp:${address.host}:${address.port}`;
  return address.path.startsWith('@') ? unixName(address.path.slice(1), true) : unixName(address.path, false);
}

/** How the address is printed that a device was made with. */
export function describeAddress(address: QapiAddress): Described {
  switch (address.type) {
    case 'inet':
      return `tcp:${address.host}:${address.port}`;
    case 'unix':
      return unixName(address.path, address.abstract === true, address.tight);
    case 'vsock':
      return `vsock:${address.cid}:${address.port}`;
    case 'fd':
      return `fd:${address.str}`;
  }
}

function unixName(path: string, abstract: boolean, tight = true): Described {
  return `unix:${path}${abstract ? ',abstract=on' : ''}${abstract && tight ? ',tight=on' : ''}`;
}

export function listeningName(described: Described): string {
  return `disconnected:${described},server=on`;
}

export function disconnectedName(described: Described): string {
  return `disconnected:${described}`;
}

/** Of a connected socket, which is lent. An abstract name is not printed. */
export function connectedName(fd: number, side: 'server' | 'client', showsPeerPath = true): string {
  const [local, peer] = [socketName(fd, false), peerName(fd)];
  const server = side === 'server' ? ',server=on' : '';
  if (!('path' in local)) return `tcp:${inetName(local)}${server} <-> ${inetName(peer)}`;
  const named = side === 'client' && showsPeerPath ? peer : local;
  const path = named !== undefined && 'path' in named ? named.path.toString() : '';
  return `unix:${path.startsWith('\0') ? '' : path}${server}`;
}

/** Undefined where the peer is gone already. */
function peerName(fd: number): NativeInetName | NativeUnixName | undefined {
  try {
    return socketName(fd, true);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function inetName(name: NativeInetName | NativeUnixName | undefined): string {
  if (name === undefined || 'path' in name) return ':';
  return name.host.includes(':') ? `[${name.host}]:${name.port}` : `${name.host}:${name.port}`;
}
