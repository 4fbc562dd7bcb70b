// How does one get to a server? A target says where it is; a connector makes connections to it.
import type { Readable, Writable } from 'node:stream';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';

import { socketPeerCred } from '../addon/index.ts';
import { OwnedFd } from '../fds/index.ts';
import { connectInet, connectUnix } from '../socket/index.ts';
import { findMonitorHolders, type MonitorHolder } from './monitor-holders.ts';
import { socketTransport, streamTransport, type StartTransport } from './transport.ts';

/** Where a server is. */
export type QmpTarget =
  /** The path of a Unix socket; `@NAME` is a name in Linux's abstract namespace (a file of that name is `./@NAME`). */
  | string
  /** TCP, by name or number. */
  | { readonly host: string; readonly port: number; readonly tls?: undefined }
  /** TLS over TCP, with the options of node:tls. */
  | { readonly host: string; readonly port: number; readonly tls: ConnectionOptions }
  /** A connected socket, such as an inherited one: the client owns it from now on. */
  | OwnedFd
  /** A child whose standard input and output are a monitor (`-chardev stdio`); the child stays the caller's. */
  | { readonly stdin: Writable | null; readonly stdout: Readable | null }
  /** What is written to the server and what comes from it; the client owns both from now on. */
  | { readonly readable: Readable; readonly writable: Writable };

/** Makes connections to one target. */
export interface Connector {
  /** Whether there can be another connection after the first. */
  readonly repeatable: boolean;
  /** @throws the signal's reason once it is aborted */
  connect(signal: AbortSignal): Promise<StartTransport>;
  /** Who else is connected to the server, as far as that can be known. */
  holders(): MonitorHolder[];
}

const TCP = 'TCP carries no file descriptors: use a Unix socket';
const TLS = 'TLS carries no file descriptors: use a Unix socket';
const STREAMS = 'a pair of streams carries no file descriptors: use a Unix socket';
/** Windows has Unix sockets, but nothing to pass fds with. */
const noFdsHere = process.platform === 'win32' ? 'Windows cannot pass file descriptors' : undefined;
const NOT_UNIX = 'the socket is not a Unix socket';

/** @throws TypeError where it is none of these */
export function connectorOf(target: QmpTarget): Connector {
  if (typeof target === 'string') return unixConnector(target);
  if (target instanceof OwnedFd) return once(adopted(target));
  if ('stdin' in target) {
    if (target.stdin === null || target.stdout === null) {
      throw new TypeError("the child's standard input and output have to be pipes");
    }
    return once(streamTransport(target.stdout, target.stdin, STREAMS));
  }
  if ('readable' in target) return once(streamTransport(target.readable, target.writable, STREAMS));
  if (typeof target.host !== 'string') throw new TypeError('this is no target: give a path, or host and port');
  const { host, port, tls } = target;
  if (tls !== undefined) return tlsConnector({ ...tls, host, port });
  return {
    repeatable: true,
    connect: async (signal) => socketTransport(await connectInet(host, port, { signal }), TCP),
    holders: () => [],
  };
}

function unixConnector(path: string): Connector {
  return {
    repeatable: true,
    connect: async (signal) => socketTransport(await connectUnix(path, { signal }), noFdsHere),
    holders: () => findMonitorHolders(path),
  };
}

/** A connection that is there already. */
function once(start: StartTransport): Connector {
  return { repeatable: false, connect: () => Promise.resolve(start), holders: () => [] };
}

/** @throws SystemError ENOTSOCK; the fd is closed */
function adopted(fd: OwnedFd): StartTransport {
  try {
    return socketTransport(fd, socketPeerCred(fd.fd) === undefined ? NOT_UNIX : undefined);
  } catch (error) {
    fd.close();
    throw error;
  }
}

function tlsConnector(options: ConnectionOptions): Connector {
  const connect = (signal: AbortSignal): Promise<StartTransport> =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = tlsConnect(options);
      const onAbort = (): void => {
        socket.destroy();
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', reject);
        resolve(streamTransport(socket, socket, TLS));
      });
    });
  return { repeatable: true, connect, holders: () => [] };
}
