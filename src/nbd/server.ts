// Who serves exports to clients? An NbdServer: it accepts from a listener as many clients as it may, knows the exports,
// and takes both down together.
import type { OwnedFd } from '../fds/index.ts';
import { FdsetError } from '../errors.ts';
import { BufferPool } from './buffer-pool.ts';
import { Connection, type ConnectionContext } from './connection.ts';
import { type CloseMode, type ExportHome, NbdExport, type NbdExportOptions } from './export.ts';
import type { ExportDirectory } from './handshake.ts';
import { DEFAULT_TRANSMISSION_LIMITS, type TransmissionLimits } from './transmission.ts';

/** What a server accepts connections from. */
export interface NbdListener {
  /** Given each connection, a stream socket, which is then the handler's. */
  onConnection: ((fd: OwnedFd) => void) | undefined;
  /** Stops accepting: clients stay in the backlog. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** How a server behaves. */
export interface NbdServerOptions {
  /** Connections at a time, 0 = unlimited. Default 100; further clients wait in the backlog. */
  readonly maxConnections?: number | undefined;
  /** How long a client may take to choose an export, in seconds, 0 = for ever. Default 10. */
  readonly handshakeMaxSeconds?: number | undefined;
  /** What one connection may have under way. Default 64 requests and 64 MiB. */
  readonly limits?: TransmissionLimits | undefined;
  /** How long a closed export waits for requests that its disk does not answer, in milliseconds. Default 5000. */
  readonly requestPatienceMs?: number | undefined;
}

/** Freed buffers that all connections together keep for the next requests, in bytes. */
const POOLED_BYTES = 32 * 1024 * 1024;

/** An NBD server. Source: proto.md; texts and defaults are those of QEMU's nbd-server-start. */
export class NbdServer implements ExportDirectory<NbdExport> {
  readonly #maxConnections: number;
  readonly #home: ExportHome;
  readonly #context: ConnectionContext;
  readonly #exports = new Map<string, NbdExport>();
  readonly #connections = new Set<Connection>();
  /** Connections, and those that are gone but whose requests the disk has not answered: they still hold memory. */
  #places = 0;
  #listener: NbdListener | undefined;
  #accepting = true;
  #stopping: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(options: NbdServerOptions = {}) {
    this.#maxConnections = options.maxConnections ?? 100;
    this.#home = {
      multiConn: this.#maxConnections !== 1,
      requestPatienceMs: options.requestPatienceMs ?? 5000,
      forget: (closing) => this.#exports.delete(closing.name),
    };
    this.#context = {
      exports: this,
      handshakeMaxSeconds: options.handshakeMaxSeconds ?? 10,
      limits: options.limits ?? DEFAULT_TRANSMISSION_LIMITS,
      pool: new BufferPool(POOLED_BYTES),
      closed: (connection) => this.#connectionClosed(connection),
      settled: () => this.#placeFree(),
    };
  }

  /** Serves whoever connects to `listener`, which is the server's from here on: `stop` closes it. Once per server. */
  listen(listener: NbdListener): void {
    this.#listener = listener;
    listener.onConnection = (fd) => this.accept(fd);
  }

  /** How many clients are connected, those in the handshake included. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Serves the client at the other end of a connected stream socket; closes it where the server has stopped. */
  accept(fd: OwnedFd): void {
    if (this.#stopping !== undefined) return fd.close();
    let connection: Connection;
    try {
      connection = new Connection(fd, this.#context);
    } catch {
      return; // Not a socket that Node can use, and closed by now: nobody to talk to.
    }
    this.#connections.add(connection);
    this.#places++;
    if (this.#maxConnections > 0 && this.#places >= this.#maxConnections && this.#accepting) {
      this.#accepting = false;
      this.#listener?.pause();
    }
  }

  /** The export of this name, unless it is shutting down. */
  find(name: string): NbdExport | undefined {
    return this.#exports.get(name);
  }

  /** All exports, oldest first. */
  all(): Iterable<NbdExport> {
    return this.#exports.values();
  }

  /**
   * Offers a disk under a name.
   * @throws FdsetError with QEMU's text where a read-only disk should be writable, name or description are too long, or the name
   * is taken
   */
  addExport(options: NbdExportOptions): NbdExport {
    if (this.#stopping !== undefined) throw new FdsetError('ERR_FDSET_NBD_STOPPED', 'NBD server not running');
    const added = new NbdExport(options, this.#home);
    if (this.#exports.has(added.name)) {
      throw new FdsetError('ERR_FDSET_EXPORT_EXISTS', `NBD server already has export named '${added.name}'`);
    }
    this.#exports.set(added.name, added);
    return added;
  }

  /**
   * Closes the export of this name; see `NbdExport.close`.
   * @throws FdsetError where there is none, or for mode `safe` with clients
   */
  async removeExport(name: string, mode: CloseMode = 'safe'): Promise<void> {
    const found = this.find(name);
    if (found === undefined) throw new FdsetError('ERR_FDSET_NO_EXPORT', `Export '${name}' is not found`);
    await found.close(mode);
  }

  /** Accepts no more, removes all exports and disconnects all clients; resolves when the last is gone. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#listener?.close();
    const closing = [...this.#exports.values()].map((open) => open.close('hard'));
    for (const connection of this.#connections) connection.disconnect('server stopped');
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await Promise.all(closing);
  }

  #connectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onIdle?.();
  }

  #placeFree(): void {
    this.#places--;
    if (this.#accepting || this.#stopping !== undefined || this.#places >= this.#maxConnections) return;
    this.#accepting = true;
    this.#listener?.resume();
  }
}
