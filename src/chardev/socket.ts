// How does a monitor listen? The server side of QEMU's chardev/char-socket.c (`server=on`): one client at a time; others
// wait in the backlog of the kernel and nothing they send is read before the first has gone.
import type { OwnedFd } from '../fds/index.ts';
import { adoptListener, listenInet, listenUnix, type Listener } from '../socket/index.ts';
import type { CharFrontend, ListedChardev } from './chardev.ts';
import { Connection } from './connection.ts';
import { connectedName, type Described, describeListener, listeningName } from './filename.ts';

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
  /** How `filename` describes the address. Default: what the socket is bound to. */
  readonly described?: Described;
}

/** A listening socket as a character device. It accepts from the start: who comes before the frontend waits for it. */
export class SocketChardev implements ListedChardev {
  readonly id: string;
  readonly #listener: Listener;
  readonly #accepts: (connection: OwnedFd) => boolean;
  readonly #described: Described;
  readonly #connection: Connection;
  /** What the connection is called. */
  #peers = '';
  #firstClient: () => void = () => undefined;
  #closed = false;

  /** @throws SystemError the socket cannot be bound, or the fd is not a listening socket */
  constructor(id: string, address: SocketAddress, { accepts = () => true, described }: SocketChardevOptions = {}) {
    this.id = id;
    this.#accepts = accepts;
    this.#listener = listen(address);
    this.#described = described ?? describeListener(this.#listener.address);
    this.#connection = new Connection(id, () => {
      if (!this.#closed) this.#listener.resume();
    });
    this.#listener.onConnection = (fd) => this.#accepted(fd);
  }

  get filename(): string {
    return this.#connection.present ? this.#peers : listeningName(this.#described);
  }

  get attached(): boolean {
    return this.#connection.attached;
  }

  attach(frontend: CharFrontend): void {
    this.#connection.attach(frontend);
  }

  /** Fulfilled when there is a client; where the device is closed first, never. */
  untilConnected(): Promise<void> {
    if (this.#connection.present) return Promise.resolve();
    return new Promise((resolve) => (this.#firstClient = resolve));
  }

  yank(): void {
    this.#connection.end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
    this.#connection.drop();
  }

  #accepted(fd: OwnedFd): void {
    if (!this.#accepts(fd)) return fd.close();
    this.#listener.pause();
    this.#peers = connectedName(fd.fd, 'server');
    this.#firstClient();
    this.#connection.take(fd);
  }
}

function listen(address: SocketAddress): Listener {
  if ('listener' in address) return address.listener;
  if ('fd' in address) return adoptListener(address.fd);
  if ('host' in address) return listenInet(address.host, address.port);
  if ('abstract' in address) return listenUnix(`@${address.abstract}`);
  return listenUnix(address.path, address.mode === undefined ? {} : { mode: address.mode });
}
