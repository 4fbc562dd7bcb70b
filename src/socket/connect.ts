// How is a connection made, without waiting in the system call?
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { constants } from 'node:os';

import {
  SocketEvent,
  SocketKind,
  SystemError,
  socketConnect,
  socketDestroy,
  socketMake,
  socketOpen,
} from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { OwnedFd } from '../fds/index.ts';
import { inetSockaddr, unixSockaddr } from './address.ts';

/** How often a listener whose backlog is full is tried again; the kernel cannot tell when it no longer is. */
const RETRY_MS = 5;

export interface ConnectOptions {
  /** Milliseconds until the attempt is given up: `ERR_FDSET_CONNECT_TIMEOUT`. Default: never. */
  readonly timeoutMs?: number;
  /** Gives the attempt up: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to a path or an abstract name (`@name`).
 * @returns a non-blocking stream socket, owned by the caller
 * @throws SystemError ENOENT, ECONNREFUSED, EACCES …; FdsetError `ERR_FDSET_CONNECT_TIMEOUT`
 */
export async function connectUnix(path: string, options: ConnectOptions = {}): Promise<OwnedFd> {
  return withDeadline(path, options, (signal) => connectSockaddr(unixSockaddr(path), signal));
}

/**
 * Connects to a host, by name or number, over TCP; of several addresses the first that answers is taken.
 * @returns a non-blocking stream socket, owned by the caller
 * @throws SystemError ECONNREFUSED, ENETUNREACH …; dns.lookup's errors; FdsetError `ERR_FDSET_CONNECT_TIMEOUT`
 */
export async function connectInet(host: string, port: number, options: ConnectOptions = {}): Promise<OwnedFd> {
  return withDeadline(`${host}:${port}`, options, async (signal) => {
    let failure: unknown;
    for (const address of await abortable(addressesOf(host), signal)) {
      signal.throwIfAborted();
      try {
        return await connectSockaddr(inetSockaddr(address, port), signal);
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    throw failure;
  });
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** The promise, or the signal's reason where that comes first: a lookup cannot be stopped, only no longer waited for. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Runs `connect` with a signal that both the caller's signal and the timeout abort. */
async function withDeadline(
  target: string,
  options: ConnectOptions,
  connect: (signal: AbortSignal) => Promise<OwnedFd>,
): Promise<OwnedFd> {
  options.signal?.throwIfAborted();
  const giveUp = new AbortController();
  const onAbort = (): void => giveUp.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort);
  const message = `cannot connect to ${target}: no answer within ${options.timeoutMs} ms`;
  const onTimeout = (): void => giveUp.abort(new FdsetError('ERR_FDSET_CONNECT_TIMEOUT', message));
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(onTimeout, options.timeoutMs);
  try {
    return await connect(giveUp.signal);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Connects to a struct sockaddr.
 * @returns a non-blocking stream socket, owned by the caller
 * @throws SystemError ECONNREFUSED …; the signal's reason
 */
export async function connectSockaddr(address: Buffer, signal: AbortSignal): Promise<OwnedFd> {
  const fd = new OwnedFd(socketMake(address));
  try {
    for (;;) {
      const errno = socketConnect(fd.fd, address);
      if (errno === 0) return fd;
      if (errno === constants.errno.EAGAIN) {
        await pause(RETRY_MS, signal);
      } else if (errno === constants.errno.EINPROGRESS) {
        await established(fd.fd, signal);
        return fd;
      } else {
        throw new SystemError(errno, 'connect');
      }
    }
  } catch (error) {
    fd.close();
    throw error;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Waits until the kernel has made the connection, or not. */
function established(fd: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      socketDestroy(handle);
      reject(signal.reason as Error);
    };
    const handle = socketOpen(fd, SocketKind.connector, false, (event, errno) => {
      if (event !== SocketEvent.connect) return;
      signal.removeEventListener('abort', onAbort);
      if (errno === 0) resolve();
      else reject(new SystemError(errno, 'connect'));
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
