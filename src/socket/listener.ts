// Where do connections come from? A listener: a listening stream socket, Unix or TCP, made here or handed in.
import { chmodSync, lstatSync, fchmodSync, unlinkSync } from 'node:fs';

import {
  SocketEvent,
  SocketKind,
  socketBind,
  socketDestroy,
  socketIsListening,
  socketListen,
  socketMake,
  socketOpen,
  socketPause,
  socketRef,
  socketSetOption,
  type SocketHandle,
} from '../addon/index.ts';
import { OwnedFd } from '../fds/index.ts';
import { inetSockaddr, isAbstract, localAddress, type SocketAddress, unixSockaddr } from './address.ts';
import { KeepAlive } from './keep-alive.ts';

/** How many clients wait before the kernel turns them away, unless told otherwise. */
const BACKLOG = 128;
/** How long a listener waits when the process is out of fds. */
const ACCEPT_PAUSE_MS = 100;

export interface ListenOptions {
  /** Clients that wait before the kernel turns them away. Default 128. */
  readonly backlog?: number;
}

export interface ListenUnixOptions extends ListenOptions {
  /** Who may connect, as of chmod(2). Default: what the umask leaves. At no moment is more allowed. */
  readonly mode?: number;
}

/**
 * Listens on a path or an abstract name (`@name`). A socket that is there already is replaced, as QEMU does; any other
 * kind of file is left alone (EADDRINUSE). The file is removed when the listener is closed.
 * @throws SystemError ENAMETOOLONG, EADDRINUSE, EACCES, ENOENT …
 */
export function listenUnix(path: string, options: ListenUnixOptions = {}): Listener {
  const address = unixSockaddr(path);
  return listen(address, options, (fd) => {
    if (!isAbstract(path)) return bindFile(fd, address, path, options.mode);
    socketBind(fd, address);
    return undefined;
  });
}

function bindFile(fd: number, address: Buffer, path: string, mode: number | undefined): SocketFile {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
  // The file gets the mode of the socket, less the umask: too little at first, never too much.
  if (mode !== undefined) fchmodSync(fd, mode);
  socketBind(fd, address);
  if (mode !== undefined) chmodSync(path, mode);
  const { dev, ino } = lstatSync(path);
  return { path, dev, ino };
}

/**
 * Listens on a numeric address; port 0 takes a free one. `::` serves IPv4 too.
 * @throws SystemError EADDRINUSE, EADDRNOTAVAIL, EACCES; EINVAL where the host is a name
 */
export function listenInet(host: string, port: number, options: ListenOptions = {}): Listener {
  const address = inetSockaddr(host, port);
  return listen(address, options, (fd) => {
    socketSetOption(fd, 'reuseAddress', true);
    if (host.includes(':')) socketSetOption(fd, 'ipv6Only', false);
    socketBind(fd, address);
    return undefined;
  });
}

/**
 * Serves a stream socket that somebody else has made, and owns it from now on, also where this throws. One that does not
 * listen yet is made to. Its file is not removed.
 * @throws SystemError ENOTSOCK, EPROTOTYPE (no stream socket), EINVAL (connected)
 */
export function adoptListener(fd: OwnedFd, options: ListenOptions = {}): Listener {
  try {
    if (!socketIsListening(fd.fd)) socketListen(fd.fd, options.backlog ?? BACKLOG);
    return new Listener(fd, undefined);
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** The file that a listener has made, told from another that has taken its place. */
interface SocketFile {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

function removeFile({ path, dev, ino }: SocketFile): void {
  try {
    const now = lstatSync(path);
    if (now.dev === dev && now.ino === ino) unlinkSync(path);
  } catch {
    // It is gone, or the folder is no longer ours to change: there is nobody to tell.
  }
}

/** `bind` returns the file that it has made. */
function listen(address: Buffer, options: ListenOptions, bind: (fd: number) => SocketFile | undefined): Listener {
  const fd = new OwnedFd(socketMake(address));
  let file: SocketFile | undefined;
  try {
    file = bind(fd.fd);
    socketListen(fd.fd, options.backlog ?? BACKLOG);
    return new Listener(fd, file);
  } catch (error) {
    if (file) removeFile(file);
    fd[Symbol.dispose]();
    throw error;
  }
}

/**
 * A listening socket. It accepts while it has an `onConnection` and is not paused; meanwhile clients wait in the backlog
 * of the kernel. Near the process's limit of open files it stops accepting for a while, too.
 */
export class Listener {
  /** What it listens on. */
  readonly address: SocketAddress;
  readonly #fd: number;
  readonly #handle: SocketHandle;
  readonly #file: SocketFile | undefined;
  readonly #keepAlive = new KeepAlive();
  #onConnection: ((fd: OwnedFd) => void) | undefined;
  #paused = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: OwnedFd, file: SocketFile | undefined) {
    this.address = localAddress(fd.fd);
    this.#fd = fd.fd;
    this.#file = file;
    this.#handle = socketOpen(fd.fd, SocketKind.listener, false, (event, first) => this.#event(event, first));
    fd.move();
    this.#update();
  }

  /** The listening socket, lent: to hand it on to a child. Valid until {@link Listener.close}. */
  get fd(): number {
    return this.#fd;
  }

  /** Called with each connection, which it owns: a non-blocking stream socket. */
  get onConnection(): ((fd: OwnedFd) => void) | undefined {
    return this.#onConnection;
  }

  set onConnection(handler: ((fd: OwnedFd) => void) | undefined) {
    this.#onConnection = handler;
    this.#update();
  }

  /** Leaves clients in the backlog until {@link Listener.resume}. */
  pause(): void {
    this.#paused = true;
    this.#update();
  }

  resume(): void {
    this.#paused = false;
    this.#update();
  }

  /** The listener keeps the process alive, as it does when made, paused or not. */
  ref(): void {
    if (this.#closed) return;
    socketRef(this.#handle, true);
    this.#keepAlive.wanted = true;
  }

  unref(): void {
    if (this.#closed) return;
    socketRef(this.#handle, false);
    this.#keepAlive.wanted = false;
  }

  /** Stops listening and removes the file that {@link listenUnix} has made. May be called any number of times. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#keepAlive.needed = false;
    if (this.#file) removeFile(this.#file);
    socketDestroy(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #update(): void {
    if (this.#closed) return;
    const idle = this.#paused || this.#onConnection === undefined || this.#timer !== undefined;
    socketPause(this.#handle, idle);
    this.#keepAlive.needed = idle;
  }

  #event(event: number, first: number): void {
    if (event === SocketEvent.accept) this.#accept(new OwnedFd(first));
    if (event === SocketEvent.acceptStop) this.#waitForFds();
  }

  #accept(fd: OwnedFd): void {
    const handler = this.#onConnection; // it may take itself away
    if (handler === undefined) return fd.close();
    try {
      handler(fd);
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
  }

  #waitForFds(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#update();
    }, ACCEPT_PAUSE_MS);
    this.#timer.unref(); // keepAlive holds the loop, if the listener does
    this.#update();
  }
}
