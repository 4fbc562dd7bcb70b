// Who owns the bytes of one client? This is the edge: a socket, a timer, and the two phases between which they move.
//
//   handshake ──▶ transmission ──▶ closed        a phase decides, the connection receives and sends for it
//       └──────────────┴─────────────▲
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

import type { OwnedFd } from '../fds/index.ts';
import type { BufferPool } from './buffer-pool.ts';
import { disconnected } from './diagnostics.ts';
import type { NbdExport } from './export.ts';
import { type ExportDirectory, Handshake, type NegotiatedSession } from './handshake.ts';
import { Transmission, type TransmissionLimits, type Wire } from './transmission.ts';

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly exports: ExportDirectory<NbdExport>;
  /** The handshake must be over after this many seconds; 0: it may take for ever. */
  readonly handshakeMaxSeconds: number;
  readonly limits: TransmissionLimits;
  readonly pool: BufferPool;
  /** The connection is gone, its fd closed. Called once. */
  closed(connection: Connection): void;
  /** The connection is gone and the disk has answered its last request: it holds no memory. Called once, last. */
  settled(): void;
}

/** Received bytes lie here during one callback only, so one buffer serves all connections of a thread. */
let receiveBuffer: Buffer | undefined;
const RECEIVE_SIZE = 256 * 1024;
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** One client, from the first byte to the last. */
export class Connection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  #handshake: Handshake<NbdExport> | undefined;
  #handshakeTimer: NodeJS.Timeout | undefined;
  /** The client does not read its option replies: no further option is answered until it does. */
  #waitsForDrain = false;
  #transmission: Transmission | undefined;
  #export: NbdExport | undefined;
  #reason = 'client left';

  /**
   * Takes `fd`, a connected stream socket, and greets.
   * @throws what Node throws for an fd that it cannot use; the fd is closed then
   */
  constructor(fd: OwnedFd, context: ConnectionContext) {
    this.#context = context;
    receiveBuffer ??= Buffer.allocUnsafeSlow(RECEIVE_SIZE);
    this.#socket = this.#makeSocket(fd);
    this.#handshake = new Handshake(context.exports);
    if (context.handshakeMaxSeconds > 0) {
      const milliseconds = Math.min(context.handshakeMaxSeconds * 1000, LONGEST_TIMEOUT_MS);
      this.#handshakeTimer = setTimeout(() => this.disconnect('handshake took too long'), milliseconds);
    }
    this.#socket.write(this.#handshake.greeting());
  }

  /** Closes at once. Requests that are with the disk run to their end; nobody hears of it. */
  disconnect(reason: string): void {
    if (this.#socket.destroyed) return;
    this.#reason = reason;
    this.#transmission?.close();
    this.#socket.destroy();
  }

  #makeSocket(fd: OwnedFd): Socket {
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: fd.fd,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      onread: {
        buffer: () => this.#transmission?.receiveInto() ?? receiveBuffer!,
        callback: (length, buffer) => this.#received(length, buffer),
      },
    };
    let socket: Socket;
    try {
      socket = new Socket(options);
    } catch (error) {
      fd.close();
      throw error;
    }
    fd.move(); // the socket closes it
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('end', () => this.disconnect('client left'));
    socket.on('error', (error) => {
      this.#reason = error.message;
    });
    socket.on('drain', () => this.#drained());
    socket.on('close', () => this.#closed());
    return socket;
  }

  #received(length: number, buffer: Uint8Array): boolean {
    if (this.#transmission === undefined) {
      this.#handshake?.feed(buffer.subarray(0, length));
      this.#negotiate();
    } else if (buffer === receiveBuffer) {
      this.#transmission.receive(receiveBuffer.subarray(0, length));
    } else {
      this.#transmission.receivedDirectly(length);
    }
    return true;
  }

  #negotiate(): void {
    while (this.#handshake !== undefined && !this.#waitsForDrain) {
      const action = this.#handshake.next();
      if (action === undefined) return;
      const roomLeft = action.bytes === undefined || this.#socket.write(action.bytes);
      switch (action.do) {
        case 'send':
          if (roomLeft) break;
          this.#waitsForDrain = true;
          this.#socket.pause();
          break;
        case 'transmit':
          this.#transmit(action.session, this.#handshake.rest());
          break;
        case 'close':
          this.#handshake = undefined;
          this.#finish(action.reason);
          break;
      }
    }
  }

  #drained(): void {
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#negotiate();
    if (!this.#waitsForDrain) this.#socket.resume();
  }

  #transmit(session: NegotiatedSession<NbdExport>, rest: Buffer): void {
    clearTimeout(this.#handshakeTimer);
    this.#handshake = undefined;
    this.#export = session.export;
    this.#export.addClient(this);
    const { structuredReplies, blockStatus, alignment } = session;
    const { size, writable } = session.export;
    const rules = { size, writable, structuredReplies, blockStatus, alignment };
    const { limits, pool } = this.#context;
    this.#transmission = new Transmission(session.export, rules, this.#wire(), limits, pool);
    if (rest.length > 0) this.#transmission.receive(rest);
  }

  #wire(): Wire {
    return {
      send: (pieces, sent) => this.#send(pieces, sent),
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
      finish: (reason) => this.#finish(reason),
      abort: (reason) => this.disconnect(reason),
      settled: () => {
        if (this.#socket.closed) this.#context.settled();
      },
    };
  }

  #send(pieces: readonly Uint8Array[], sent: () => void): void {
    if (this.#socket.destroyed) {
      process.nextTick(sent);
      return;
    }
    this.#socket.cork();
    for (let index = 0; index < pieces.length - 1; index++) this.#socket.write(pieces[index]!);
    // The last callback comes when all are written, or when the socket has died: the memory is free either way.
    this.#socket.write(pieces.at(-1)!, () => sent());
    this.#socket.uncork();
  }

  /** Closes once everything is sent. */
  #finish(reason: string): void {
    this.#reason = reason;
    this.#socket.destroySoon();
  }

  #closed(): void {
    clearTimeout(this.#handshakeTimer);
    this.#handshake = undefined;
    this.#transmission?.close();
    this.#export?.removeClient(this);
    if (disconnected.hasSubscribers) disconnected.publish({ export: this.#export?.name, reason: this.#reason });
    this.#context.closed(this);
    if (this.#transmission?.busy !== true) this.#context.settled();
  }
}
