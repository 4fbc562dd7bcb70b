// How are bytes and fds sent, received, and connections made? The door to native/fd_socket_calls.c and socket_address.c.
//
// A socket on the event loop is known by a number. What happens to it is told to the one callback it was opened with:
// see `SocketEvent` for the events and what their two arguments mean.
import { FdsetError } from '../errors.ts';
import { loadAddon } from './load.ts';
import { SystemError, checkResult } from './system-error.ts';

/** What is told to the callback of a socket, with two more numbers. Values as in native/fd_socket.h. */
export const SocketEvent = Object.freeze({
  /** Bytes arrived: how many there are in {@link socketReceiveBuffer}, how many messages with fds wait to be taken. */
  data: 0,
  /** The peer sends no more. */
  end: 1,
  /** Nothing is queued any more. */
  drain: 2,
  /** The socket is closed; nothing follows. errno or 0, and which call it came from: see {@link socketError}. */
  close: 3,
  /** A listener has a new connection: its fd, owned by the callback. */
  accept: 4,
  /** A listener has paused, as there are no fds left: errno. */
  acceptStop: 5,
  /** A connection is made or has failed: errno or 0. Nothing follows. */
  connect: 6,
});

/** What a socket on the event loop is for. */
export const SocketKind = Object.freeze({
  channel: 0,
  listener: 1,
  /** Watches a connection being made; it does not own the fd. */
  connector: 2,
});

/** Called with a {@link SocketEvent} and its arguments. */
export type SocketCallback = (event: number, first: number, second: number) => void;

/** A socket on the event loop, until its close event. */
export type SocketHandle = number;

/** Of a Unix socket: the path as bytes, empty if it has no name, with a leading NUL if it is abstract. */
export interface NativeUnixName {
  readonly path: Buffer;
}

/** Of a TCP socket. */
export interface NativeInetName {
  readonly host: string;
  readonly port: number;
  readonly ipv6: number;
}

interface FdSocketBinding {
  readonly socketReceiveBuffer: () => Buffer;
  readonly socketOpen: (fd: number, kind: number, receivesFds: boolean, onEvent: SocketCallback) => number;
  readonly socketWrite: (handle: SocketHandle, data: string | Uint8Array, fds: readonly number[] | undefined) => number;
  readonly socketTakeFd: (handle: SocketHandle, before: number) => number;
  readonly socketSettleFds: (handle: SocketHandle, before: number) => void;
  readonly socketPause: (handle: SocketHandle, on: boolean) => void;
  readonly socketRef: (handle: SocketHandle, on: boolean) => void;
  readonly socketEnd: (handle: SocketHandle) => void;
  readonly socketDestroy: (handle: SocketHandle) => void;
  readonly socketBufferedBytes: (handle: SocketHandle) => number;
  readonly socketChainedReads: (on: boolean) => boolean;
  readonly unixAddress: (path: Uint8Array) => Buffer | number;
  readonly inetAddress: (host: string, port: number) => Buffer | number;
  readonly socketMake: (address: Uint8Array) => number;
  readonly socketBind: (fd: number, address: Uint8Array) => number;
  readonly socketConnect: (fd: number, address: Uint8Array) => number;
  readonly socketListen: (fd: number, backlog: number) => number;
  readonly socketSetOption: (fd: number, name: SocketOption, on: boolean) => number;
  readonly socketName: (fd: number, ofPeer: boolean) => NativeUnixName | NativeInetName | number;
  readonly socketIsListening: (fd: number) => number;
  readonly socketPeerCred: (fd: number) => [number, number, number] | number;
}

const binding = loadAddon() as FdSocketBinding;

/** The most fds that one message can carry (SCM_MAX_FD of the kernel). */
export const MAX_SENT_FDS = 253;

/** The memory that the bytes of a data event are in, overwritten by the next one of any socket. One per environment. */
export function socketReceiveBuffer(): Buffer {
  return binding.socketReceiveBuffer();
}

/**
 * Puts a stream socket on the event loop. It owns `fd` from now on, unless it is a connector.
 *
 * O_NONBLOCK is set on the open file description, and TCP_NODELAY on a channel over TCP.
 * @param receivesFds false: fds that a peer sends are dropped by the kernel
 * @throws SystemError ENOTSOCK, EPROTOTYPE (no stream socket); then the fd is still the caller's
 */
export function socketOpen(fd: number, kind: number, receivesFds: boolean, onEvent: SocketCallback): SocketHandle {
  return checkResult(binding.socketOpen(fd, kind, receivesFds, onEvent), 'epoll_ctl');
}

/**
 * Sends or queues; fds go with the first byte and are borrowed for the call. A failure of the connection is told by the
 * close event.
 * @returns how many bytes are queued now
 * @throws SystemError where the fds were not accepted (EBADF, EMFILE, ETOOMANYREFS): nothing was sent
 */
export function socketWrite(
  handle: SocketHandle,
  data: string | Uint8Array,
  fds: readonly number[] | undefined,
): number {
  return checkResult(binding.socketWrite(handle, data, fds), 'sendmsg');
}

/** What {@link socketTakeFd} says instead of an fd. */
export const NO_FD = -1;
/** There was one, closed on arrival as the process is near its limit of open files. */
export const FD_REFUSED = -2;

/**
 * The fd of the newest message whose first byte lies before this offset; older ones are closed.
 * @returns the fd, owned by the caller, {@link NO_FD} or {@link FD_REFUSED}
 */
export const socketTakeFd: (handle: SocketHandle, before: number) => number = binding.socketTakeFd;

/** Closes the fds that a message whose first byte lies before this offset has replaced. */
export const socketSettleFds: (handle: SocketHandle, before: number) => void = binding.socketSettleFds;

/** Stops and starts reading, or accepting. */
export const socketPause: (handle: SocketHandle, on: boolean) => void = binding.socketPause;

/** Whether the socket keeps the event loop alive; it does when it is opened. */
export const socketRef: (handle: SocketHandle, on: boolean) => void = binding.socketRef;

/** Ends the sending side once everything queued is sent: shutdown(2). When both sides have ended the socket closes. */
export const socketEnd: (handle: SocketHandle) => void = binding.socketEnd;

/** Closes the socket with everything that it owns; the close event follows. */
export const socketDestroy: (handle: SocketHandle) => void = binding.socketDestroy;

/** Bytes that the kernel has not taken yet. */
export const socketBufferedBytes: (handle: SocketHandle) => number = binding.socketBufferedBytes;

/** For tests and measurements: see native/chained_reads.c. Whether chained reads are used from now on. */
export const socketChainedReads: (on: boolean) => boolean = binding.socketChainedReads;

const calls = ['', 'recvmsg', 'sendmsg', 'recvmsg', 'epoll_ctl'] as const;
const outOfFds = 3;

/** The error that a close event tells of, if any. */
export function socketError(errno: number, call: number): FdsetError | undefined {
  if (errno === 0) return undefined;
  const error = new SystemError(errno, calls[call] ?? '');
  if (call !== outOfFds) return error;
  const message = 'the process is out of file descriptors: one that a peer has sent is lost';
  return new FdsetError('ERR_FDSET_FDS_LOST', message, { cause: error });
}

// -- making, binding and connecting

/** Switches of setsockopt(2). */
export type SocketOption = 'reuseAddress' | 'ipv6Only';

/**
 * The address of a path, or of an abstract name (a leading NUL).
 * @throws SystemError ENAMETOOLONG above 108 bytes
 */
export function unixAddress(path: Uint8Array): Buffer {
  return checkBytes(binding.unixAddress(path), 'bind');
}

/**
 * The address of a numeric host (with a scope, if need be) and a port.
 * @throws SystemError EINVAL where the host is a name
 */
export function inetAddress(host: string, port: number): Buffer {
  return checkBytes(binding.inetAddress(host, port), 'getaddrinfo');
}

function checkBytes(result: Buffer | number, syscall: string): Buffer {
  if (typeof result === 'number') throw new SystemError(-result, syscall);
  return result;
}

/** A stream socket for this kind of address, close-on-exec and non-blocking, owned by the caller. */
export function socketMake(address: Uint8Array): number {
  return checkResult(binding.socketMake(address), 'socket');
}

/** @throws SystemError EADDRINUSE, EACCES, ENOENT … */
export function socketBind(fd: number, address: Uint8Array): void {
  checkResult(binding.socketBind(fd, address), 'bind');
}

/** @throws SystemError EADDRINUSE, EINVAL … */
export function socketListen(fd: number, backlog: number): void {
  checkResult(binding.socketListen(fd, backlog), 'listen');
}

/** Starts to connect: 0, or an errno, of which EINPROGRESS and EAGAIN are no failures. */
export function socketConnect(fd: number, address: Uint8Array): number {
  return -binding.socketConnect(fd, address);
}

/** @throws SystemError ENOTSOCK, EOPNOTSUPP */
export function socketSetOption(fd: number, name: SocketOption, on: boolean): void {
  checkResult(binding.socketSetOption(fd, name, on), 'setsockopt');
}

/**
 * The name of this end of a socket, or of its peer's.
 * @throws SystemError ENOTSOCK, ENOTCONN; EAFNOSUPPORT for another family
 */
export function socketName(fd: number, ofPeer: boolean): NativeUnixName | NativeInetName {
  const result = binding.socketName(fd, ofPeer);
  if (typeof result === 'number') throw new SystemError(-result, ofPeer ? 'getpeername' : 'getsockname');
  return result;
}

/**
 * Whether a stream socket listens.
 * @throws SystemError ENOTSOCK; EPROTOTYPE for another type
 */
export function socketIsListening(fd: number): boolean {
  return checkResult(binding.socketIsListening(fd), 'getsockopt') !== 0;
}

/** The process at the other end, as it was when it connected: SO_PEERCRED. */
export interface PeerCredentials {
  /** 0: a process outside of our pid namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who has made the connection: unix(7), SO_PEERCRED; undefined for other families.
 * @throws SystemError ENOTSOCK
 */
export function socketPeerCred(fd: number): PeerCredentials | undefined {
  const result = binding.socketPeerCred(fd);
  if (typeof result !== 'number') return { pid: result[0], uid: result[1], gid: result[2] };
  const error = new SystemError(-result, 'getsockopt');
  if (error.errnoName === 'EOPNOTSUPP') return undefined;
  throw error;
}
