// How does a monitor listen? The server side of QEMU's chardev/char-socket.c (`server=on,wait=off`): one client at a
// time; others wait in the backlog of the kernel and nothing they send is read before the first has gone.
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import { adoptListener, listenInet, listenUnix, type Listener, openChannel } from '../socket/index.ts';
import type { Chardev, CharFrontend } from './chardev.ts';

/** Where a socket character device listens. */
export type SocketAddress =
  /** A path, made anew; the file is removed when the device is closed. */
  | { readonly path: string; readonly mode?: number }
  /** A name in Linux's abstract namespace, without the leading NUL. */
  | { readonly abstract: string }
  /** A TCP port of a numeric host; no fds come this way. */
  | { readonly host: string; readonly port: number }
  /** A listening socket that somebody else has made; the device owns it from now on. */
  | { readonly fd: OwnedFd }
  | { readonly listener: Listener };

export interface SocketChardevOptions {
  /** Whether whoever has connected may stay; the fd is lent. Default: everybody. */
  readonly accepts?: (connection: OwnedFd) => boolean;
}

/** A listening socket as a character device. */
export class SocketChardev implements Chardev {
  readonly id: string;
  readonly #listener: Listener;
  readonly #accepts: (connection: OwnedFd) => boolean;
  #frontend: CharFrontend | undefined;
  #closed = false;

  /** @throws SystemError the socket cannot be bound, or the fd is not a listening socket */
  constructor(id: string, address: SocketAddress, { accepts = () => true }: SocketChardevOptions = {}) {
    this.id = id;
    this.#accepts = accepts;
    this.#listener = listen(address);
    this.#listener.pause();
  }

  attach(frontend: CharFrontend): void {
    if (this.#frontend !== undefined)
      throw new FdsetError('ERR_FDSET_CHARDEV', `chardev '${this.id}' is already in use`);
    this.#frontend = frontend;
    this.#listener.onConnection = (fd) => this.#accepted(fd, frontend);
    this.#listener.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
  }

  #accepted(fd: OwnedFd, frontend: CharFrontend): void {
    if (!this.#accepts(fd)) return fd.close();
    this.#listener.pause();
    frontend.connected((handlers) =>
      openChannel(fd, {
        ...handlers,
        close: (channel, error) => {
          handlers.close?.(channel, error);
          if (!this.#closed) this.#listener.resume();
        },
      }),
    );
  }
}

function listen(address: SocketAddress): Listener {
  if ('listener' in address) return address.listener;
  if ('fd' in address) return adoptListener(address.fd);
  if ('host' in address) return listenInet(address.host, address.port);
  if ('abstract' in address) return listenUnix(`@${address.abstract}`);
  return listenUnix(address.path, address.mode === undefined ? {} : { mode: address.mode });
}
