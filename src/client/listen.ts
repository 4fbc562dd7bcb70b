// How does one serve a QEMU that connects out (`-chardev socket,…,server=off`)? By listening, and greeting nobody: the
// server greets, whoever has connected.
import type { OwnedFd } from '../fds/index.ts';
import { type Listener, listenInet, listenUnix, type SocketAddress } from '../socket/index.ts';
import type { QmpClientOptions } from './client-options.ts';
import { closedError } from './client-error.ts';

/** A listening socket for QMP servers. Made by QmpClient.listen. */
export class QmpListener<Client> implements AsyncIterable<Client> {
  readonly #listener: Listener;
  readonly #connect: (fd: OwnedFd, signal: AbortSignal | undefined) => Promise<Client>;
  readonly #waiting: { resolve: (fd: OwnedFd) => void; reject: (error: unknown) => void }[] = [];
  #closed = false;

  constructor(listener: Listener, connect: (fd: OwnedFd, signal: AbortSignal | undefined) => Promise<Client>) {
    this.#listener = listener;
    this.#connect = connect;
  }

  /** What it listens on: with the port that was taken, where 0 was asked for. */
  get address(): SocketAddress {
    return this.#listener.address;
  }

  /**
   * The client of the next server that connects. A server waits in the backlog until this is called.
   *
   * @throws FdsetError what QmpClient.connect throws for a server that does not greet; `ERR_FDSET_QMP_CLOSED`: the listener
   *   was closed; the signal's reason
   */
  async accept({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Client> {
    return this.#connect(await this.#next(signal), signal);
  }

  #next(signal: AbortSignal | undefined): Promise<OwnedFd> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('the QMP listener is closed'));
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const waiting = {
        resolve: (fd: OwnedFd) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(fd);
        },
        reject: (error: unknown) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#update();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#update();
    });
  }

  #update(): void {
    if (this.#closed) return;
    this.#listener.onConnection = this.#waiting.length === 0 ? undefined : (fd) => this.#take(fd);
  }

  #take(fd: OwnedFd): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return fd.close();
    this.#update();
    waiting.resolve(fd);
  }

  /** Every server that connects; one that is no QMP server ends the loop with its error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Client, void, undefined> {
    while (!this.#closed) {
      try {
        yield await this.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
    }
  }

  /** Stops listening; clients stay. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
    for (const { reject } of this.#waiting.splice(0)) reject(closedError('the QMP listener was closed'));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

export interface QmpListenOptions extends Omit<QmpClientOptions, 'reconnect' | 'signal'> {
  /** Of a Unix socket: who may connect, as of chmod(2). Default: 0o600. */
  readonly mode?: number;
}

/** The socket of a listener. @throws SystemError EADDRINUSE, EACCES … */
export function listenFor(
  address: string | { readonly host: string; readonly port: number },
  options: QmpListenOptions,
): Listener {
  if (typeof address === 'string') return listenUnix(address, { mode: options.mode ?? 0o600 });
  return listenInet(address.host, address.port);
}
