// How does a monitor reach a client that listens? The connecting side of QEMU's chardev/char-socket.c (`server=off`):
// it connects once, or with `reconnect-ms` again and again.
//
//   disconnected ──── connect ────► connecting ──── made ────► connected
//        ▲  │ reconnect-ms later          │ refused                 │ closed
//        └──┴─────────────────────────────┴─────────────────────────┘
import type { OwnedFd } from '../fds/index.ts';
import type { CharFrontend, ListedChardev } from './chardev.ts';
import { Connection } from './connection.ts';
import { connectedName, type Described, disconnectedName } from './filename.ts';

export interface SocketClientOptions {
  /** Makes a connection; owned by the device. */
  readonly connect: (signal: AbortSignal) => Promise<OwnedFd>;
  readonly described: Described;
  /** Milliseconds between a failure or an end and the next attempt; 0: it stays disconnected. */
  readonly reconnectMs: number;
  /** Of a Unix socket, instead of the own path, which is empty. */
  readonly showsPeerPath: boolean;
  /** Told of the first of several failures in a row. */
  readonly report: (message: string) => void;
}

/** A connecting socket as a character device. */
export class SocketClientChardev implements ListedChardev {
  readonly id: string;
  readonly #options: SocketClientOptions;
  readonly #connection: Connection;
  readonly #giveUp = new AbortController();
  #peers = '';
  #timer: NodeJS.Timeout | undefined;
  #reported = false;

  private constructor(id: string, options: SocketClientOptions) {
    this.id = id;
    this.#options = options;
    this.#connection = new Connection(id, () => this.#later());
  }

  /**
   * Makes the device: connected, or with `reconnectMs` about to connect.
   *
   * @throws FdsetError the connection is not made, and no other attempt is to follow
   */
  static async open(id: string, options: SocketClientOptions): Promise<SocketClientChardev> {
    const device = new SocketClientChardev(id, options);
    if (options.reconnectMs > 0) void device.#tryConnect();
    else await device.#connect();
    return device;
  }

  get filename(): string {
    return this.#connection.present ? this.#peers : disconnectedName(this.#options.described);
  }

  get attached(): boolean {
    return this.#connection.attached;
  }

  attach(frontend: CharFrontend): void {
    this.#connection.attach(frontend);
  }

  yank(): void {
    this.#connection.end();
  }

  close(): void {
    this.#giveUp.abort();
    clearTimeout(this.#timer);
    this.#connection.drop();
  }

  async #connect(): Promise<void> {
    const fd = await this.#options.connect(this.#giveUp.signal);
    if (this.#giveUp.signal.aborted) return fd.close();
    this.#reported = false;
    try {
      this.#peers = connectedName(fd.fd, 'client', this.#options.showsPeerPath);
    } catch (error) {
      fd.close(); // a socket that was passed may be of any family
      throw error;
    }
    this.#connection.take(fd);
  }

  async #tryConnect(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      if (this.#giveUp.signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#reported) this.#options.report(`Unable to connect character device ${this.id}: ${reason}`);
      this.#reported = true;
      this.#later();
    }
  }

  #later(): void {
    if (this.#giveUp.signal.aborted || this.#options.reconnectMs <= 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tryConnect(), this.#options.reconnectMs);
  }
}
