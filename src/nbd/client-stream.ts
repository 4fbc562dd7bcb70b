// How does the client read a byte stream as if it were a file? It asks for so many bytes and waits until they are there.
import type { Socket } from 'node:net';

import { ByteQueue } from './byte-queue.ts';
import { NbdProtocolError } from './errors.ts';

/** Received but unread bytes beyond this stay in the socket. */
const READ_AHEAD = 4 * 1024 * 1024;

/** The receiving half of a socket, with one reader. */
export class ClientStream {
  readonly #socket: Socket;
  readonly #bytes = new ByteQueue();
  #failure: NbdProtocolError | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes.append(chunk);
      if (this.#bytes.length > READ_AHEAD) socket.pause();
      this.#wake?.();
    });
    socket.on('error', (error) => this.fail(new NbdProtocolError(error.message, { cause: error })));
    socket.on('close', () => this.fail(new NbdProtocolError('the server closed the connection')));
  }

  /** Ends all reading, now and later, with this error; the first one counts. */
  fail(failure: NbdProtocolError): void {
    this.#failure ??= failure;
    this.#wake?.();
  }

  /**
   * The next `length` bytes, as a copy.
   * @throws NbdProtocolError where the connection ends before
   */
  async read(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#socket.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const found = Buffer.from(this.#bytes.peek(length));
    this.#bytes.skip(length);
    return found;
  }
}
