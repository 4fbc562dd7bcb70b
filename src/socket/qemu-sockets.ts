// Where does a socket address of QAPI lead? It becomes a listener or a connection: a Unix path or abstract name, a TCP
// address, or a socket that somebody has passed. Errors are in QEMU's words, as of its util/qemu-sockets.c seen from
// outside. Texts: docs/reference/storage-daemon.md section 5, fdset.md section 10.
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  socketBind,
  socketIsListening,
  socketMake,
  socketSetOption,
  strerror,
  SystemError,
  unixAddress,
} from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { OwnedFd } from '../fds/index.ts';
import type { InetSocketAddress, SocketAddress, UnixSocketAddress } from '../qapi/index.ts';
import { inetSockaddr } from './address.ts';
import { connectSockaddr } from './connect.ts';
import { resolveInet } from './getaddrinfo.ts';
import { adoptListener, type Listener, listenUnix } from './listener.ts';

/** Gives away the fd that a string names: a name of getfd, or the number of an inherited fd. */
export type TakeFd = (str: string) => OwnedFd;

/** The room for a path in struct sockaddr_un. A path may fill it, an abstract name has a NUL before it. */
const SUN_PATH = 108;

const never = new AbortController().signal;

/**
 * Listens on an address; the listener accepts nothing until it is given somebody to tell.
 *
 * @param mode of a Unix socket's file; default what the umask leaves
 * @throws FdsetError with QEMU's text where nothing can listen there
 */
export async function listenOn(address: SocketAddress, takeFd: TakeFd, mode?: number): Promise<Listener> {
  switch (address.type) {
    case 'unix':
      return listenPath(address, mode);
    case 'inet':
      return listenTcp(address);
    case 'fd':
      return listenFd(address.str, takeFd(address.str));
    case 'vsock':
      throw addressError('socket family AF_VSOCK unsupported');
  }
}

/**
 * Connects to an address, or takes the connected socket that it names.
 *
 * @returns a stream socket, owned by the caller
 * @throws FdsetError with QEMU's text; the signal's reason
 */
export async function connectTo(address: SocketAddress, takeFd: TakeFd, signal: AbortSignal = never): Promise<OwnedFd> {
  switch (address.type) {
    case 'unix':
      return connectPath(address, signal);
    case 'inet':
      return connectTcp(address, signal);
    case 'fd':
      return connectedFd(address.str, takeFd(address.str));
    case 'vsock':
      throw addressError('socket family AF_VSOCK unsupported');
  }
}

// -- Unix

/** The struct sockaddr_un. An abstract name that is not tight fills its room with NULs. */
function unixSockaddr({ path, abstract, tight = true }: UnixSocketAddress): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length > (abstract === true ? SUN_PATH - 1 : SUN_PATH)) {
    throw addressError(`UNIX socket path '${path}' is too long`);
  }
  if (abstract !== true) return unixAddress(bytes);
  return unixAddress(Buffer.concat([Buffer.of(0), bytes], tight ? bytes.length + 1 : SUN_PATH));
}

function listenPath(address: UnixSocketAddress, mode: number | undefined): Listener {
  const { path, abstract } = address;
  const sockaddr = unixSockaddr(address);
  if (abstract === true) return listenAbstract(path, sockaddr);
  const file = path === '' ? join(tmpdir(), `qemu-socket-${randomBytes(3).toString('hex')}`) : path;
  if (isFolder(file)) throw addressError(`Failed to unlink socket ${file}: ${strerror(constants.errno.EISDIR)}`);
  try {
    return listenUnix(file.startsWith('@') ? `./${file}` : file, mode === undefined ? {} : { mode });
  } catch (error) {
    throw addressError(`Failed to bind socket to ${file}: ${reasonOf(error)}`, error);
  }
}

function isFolder(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false; // bind(2) says what is wrong
  }
}

function listenAbstract(name: string, sockaddr: Buffer): Listener {
  let fd: OwnedFd | undefined;
  try {
    fd = new OwnedFd(socketMake(sockaddr));
    socketBind(fd.fd, sockaddr);
  } catch (error) {
    fd?.close();
    throw addressError(`Failed to bind socket to ${name}: ${reasonOf(error)}`, error);
  }
  return adoptListener(fd);
}

async function connectPath(address: UnixSocketAddress, signal: AbortSignal): Promise<OwnedFd> {
  const sockaddr = unixSockaddr(address);
  try {
    if (address.path === '') throw new SystemError(constants.errno.ECONNREFUSED, 'connect');
    return await connectSockaddr(sockaddr, signal);
  } catch (error) {
    throw connectError(address.path, error);
  }
}

// -- TCP

async function listenTcp(address: InetSocketAddress): Promise<Listener> {
  const { hosts, port } = await resolveInet(address, { passive: true });
  const last = address.to ?? port;
  let bound = false;
  let failure: unknown;
  for (const host of hosts) {
    for (let candidate = port; candidate <= last; candidate++) {
      try {
        return listenInet(host, candidate, address);
      } catch (error) {
        const { errnoName, syscall } = error as SystemError;
        failure = error;
        if (syscall === 'socket') continue;
        bound = true;
        if (errnoName !== 'EADDRINUSE') throw addressError(`Failed to bind socket: ${reasonOf(error)}`, error);
      }
    }
  }
  const reason = failure === undefined ? '' : `: ${reasonOf(failure)}`;
  throw addressError(`${bound ? 'Failed to find an available port' : 'Failed to create a socket'}${reason}`, failure);
}

/** An IPv6 socket serves IPv4 as well unless the address says which of them it is to be. */
function listenInet(host: string, port: number, { ipv4, ipv6 }: InetSocketAddress): Listener {
  const sockaddr = inetSockaddr(host, port);
  const fd = new OwnedFd(socketMake(sockaddr));
  try {
    socketSetOption(fd.fd, 'reuseAddress', true);
    const both = (ipv4 === undefined && ipv6 === undefined) || (ipv4 === true && ipv6 === true);
    if (host.includes(':')) socketSetOption(fd.fd, 'ipv6Only', !both);
    socketBind(fd.fd, sockaddr);
  } catch (error) {
    fd.close();
    throw error;
  }
  return adoptListener(fd);
}

async function connectTcp(address: InetSocketAddress, signal: AbortSignal): Promise<OwnedFd> {
  const { hosts, port } = await resolveInet(address, { passive: false });
  let failure: unknown;
  for (const host of hosts) {
    signal.throwIfAborted();
    try {
      return await connectSockaddr(inetSockaddr(host, port), signal);
    } catch (error) {
      failure = error;
    }
  }
  throw connectError(`${address.host}:${address.port}`, failure);
}

/** What gives up an attempt is no failure of it. */
function connectError(where: string, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  return addressError(`Failed to connect to '${where}': ${reasonOf(error)}`, error);
}

// -- a socket that was passed. fstat(2) would tell whether it is one, and would wait for the server of a file that is none.

function listenFd(name: string, fd: OwnedFd): Listener {
  checkSocket(name, fd);
  try {
    return adoptListener(fd);
  } catch (error) {
    const stream = !(error instanceof SystemError) || error.errnoName !== 'EPROTOTYPE';
    const reason = stream ? reasonOf(error) : strerror(constants.errno.EOPNOTSUPP);
    throw addressError(`Failed to listen on fd socket: ${reason}`, error);
  }
}

function connectedFd(name: string, fd: OwnedFd): OwnedFd {
  checkSocket(name, fd);
  return fd;
}

/** Closes what is none. */
function checkSocket(name: string, fd: OwnedFd): void {
  try {
    socketIsListening(fd.fd);
  } catch (error) {
    if (error instanceof SystemError && error.errnoName === 'EPROTOTYPE') return;
    fd.close();
    throw addressError(`File descriptor '${name}' is not a socket`, error);
  }
}

function addressError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_ADDRESS', message, { cause });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
