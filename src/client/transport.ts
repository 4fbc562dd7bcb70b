// What carries the bytes? A transport: a socket that can take fds along, or a pair of streams that cannot.
import type { Readable, Writable } from 'node:stream';

import type { OwnedFd } from '../fds/index.ts';
import { openChannel, type PeerCredentials } from '../socket/index.ts';

/** What a transport tells. `close` is the last call, exactly one. */
export interface TransportHandlers {
  /** Bytes arrived; they are lent for the call. */
  data(bytes: Uint8Array): void;
  /** The server sends no more. */
  end(): void;
  close(error?: Error): void;
}

/** A connection that bytes go over. */
export interface Transport {
  /** Why fds cannot go this way, to follow "because"; undefined where they can. */
  readonly noFds: string | undefined;
  /** The process that listens, where the kernel tells. */
  readonly peer: PeerCredentials | undefined;
  /**
   * Sends ASCII text, the fds with its first byte; they are borrowed for the call.
   * @throws SystemError the fds were not accepted; nothing was sent
   */
  write(text: string, fds?: readonly number[]): void;
  /** Closes at once. May be called any number of times. */
  destroy(): void;
}

/** Starts a transport that is connected already. What it was made from is the transport's from then on. */
export type StartTransport = (handlers: TransportHandlers) => Transport;

/** A connected stream socket. `noFds` as in {@link Transport}. */
export function socketTransport(fd: OwnedFd, noFds: string | undefined): StartTransport {
  return (handlers) => {
    const channel = openChannel(
      fd,
      {
        data: (_, bytes) => handlers.data(bytes),
        end: () => handlers.end(),
        close: (_, error) => handlers.close(error),
      },
      { receiveFds: false }, // QMP servers send none
    );
    return {
      noFds,
      peer: channel.peerCred(),
      write: (text, fds) => void channel.write(text, fds),
      destroy: () => channel.destroy(),
    };
  };
}

/** Two streams, or a duplex as both: TLS, the standard input and output of a child. */
export function streamTransport(readable: Readable, writable: Writable, noFds: string): StartTransport {
  return (handlers) => new StreamTransport(readable, writable, noFds, handlers);
}

class StreamTransport implements Transport {
  readonly noFds: string;
  readonly peer = undefined;
  readonly #readable: Readable;
  readonly #writable: Writable;
  #error: Error | undefined;
  #open: number;

  constructor(readable: Readable, writable: Writable, noFds: string, handlers: TransportHandlers) {
    this.noFds = noFds;
    this.#readable = readable;
    this.#writable = writable;
    const streams = new Set<Readable | Writable>([readable, writable]);
    this.#open = streams.size;
    for (const stream of streams) {
      stream.on('error', (error) => {
        this.#error ??= error;
        this.destroy();
      });
      const onClose = (): void => {
        this.destroy();
        if (--this.#open === 0) handlers.close(this.#error);
      };
      if (stream.closed)
        process.nextTick(onClose); // as those of a child that has ended are
      else stream.once('close', onClose);
    }
    readable.on('data', (bytes: Uint8Array | string) =>
      handlers.data(typeof bytes === 'string' ? Buffer.from(bytes) : bytes),
    );
    readable.once('end', () => handlers.end());
    if (readable.destroyed || writable.destroyed) this.destroy();
  }

  write(text: string): void {
    if (!this.#writable.destroyed) this.#writable.write(text, 'latin1');
  }

  destroy(): void {
    this.#readable.destroy();
    this.#writable.destroy();
  }
}
