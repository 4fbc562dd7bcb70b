// Which bytes and which fds go over a connection? A channel: a stream in both directions, with each fd at its byte.
//
//   open ──── end() / peer ends ───► half open ──── the other side ends too ──┐
//     └────────── destroy(), an error, a handler that throws ─────────────────┴──► closing ──► closed
//
// In `closing` nothing is read or sent any more and every fd is closed; `close` is called from the event loop, once.
import {
  FD_REFUSED,
  MAX_SENT_FDS,
  NO_FD,
  SocketEvent,
  SocketKind,
  socketBufferedBytes,
  socketDestroy,
  socketEnd,
  socketError,
  socketOpen,
  socketPause,
  socketPeerCred,
  socketReceiveBuffer,
  socketRef,
  socketSettleFds,
  socketTakeFd,
  socketWrite,
  type PeerCredentials,
  type SocketHandle,
} from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { OwnedFd } from '../fds/index.ts';
import { KeepAlive } from './keep-alive.ts';

/** What a channel tells. A handler may do anything, destroy the channel included; one that throws destroys it. */
export interface ChannelHandlers {
  /** Bytes arrived. They are lent: the memory is overwritten after the call. */
  data?(channel: Channel, bytes: Uint8Array): void;
  /** The peer sends no more; writing goes on. */
  end?(channel: Channel): void;
  /** Everything that had to be queued is sent. */
  drain?(channel: Channel): void;
  /** The last call, exactly one: the channel is closed, because of `error` if there is one. */
  close?(channel: Channel, error?: Error): void;
}

export interface ChannelOptions {
  /** Whether fds are received. Default true; false saves time, and what a peer sends is dropped by the kernel. */
  readonly receiveFds?: boolean;
}

/**
 * Characters held back by a cork before they are sent all the same: some thirty short replies. A peer with many requests
 * on the way goes on with these while the rest of them run (docs/decisions/socket.md).
 */
const MAX_CORKED = 1600;

/**
 * Puts a connected stream socket on the event loop. `fd` is the channel's from now on, also where this throws.
 *
 * The open file description becomes non-blocking.
 * @throws SystemError where the fd is no socket
 */
export function openChannel(fd: OwnedFd, handlers: ChannelHandlers, options: ChannelOptions = {}): Channel {
  try {
    return new Channel(fd, handlers, options);
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** A connection. Made by {@link openChannel}. */
export class Channel {
  readonly #handlers: ChannelHandlers;
  readonly #handle: SocketHandle;
  readonly #peer: PeerCredentials | undefined;
  readonly #buffer = socketReceiveBuffer();
  readonly #keepAlive = new KeepAlive();
  #closing = false;
  #ended = false;
  #peerEnded = false;
  #paused = false;
  #error: Error | undefined;
  #received = 0;
  /** At most so many messages with fds wait to be taken. */
  #waiting = 0;
  /** At most so many bytes are queued: as of the last write or drain. */
  #queued = 0;
  #corks = 0;
  #corked = '';

  constructor(fd: OwnedFd, handlers: ChannelHandlers, options: ChannelOptions) {
    this.#handlers = handlers;
    this.#peer = socketPeerCred(fd.fd);
    const onEvent = (event: number, first: number, second: number): void => this.#event(event, first, second);
    this.#handle = socketOpen(fd.fd, SocketKind.channel, options.receiveFds ?? true, onEvent);
    fd.move();
  }

  /** Offset in the stream of the byte behind the last that was handed up. */
  get bytesReceived(): number {
    return this.#received;
  }

  /** Bytes written that the kernel has not taken yet. */
  get bufferedBytes(): number {
    if (this.#queued > 0) this.#queued = this.#closing ? 0 : socketBufferedBytes(this.#handle);
    return this.#queued + this.#corked.length;
  }

  /** Whether nothing can be sent or received any more. */
  get destroyed(): boolean {
    return this.#closing;
  }

  /**
   * Sends bytes, or a string of which each character is one byte (ASCII, Latin-1). On a channel that is closing this does
   * nothing.
   * @param fds at most 253, sent with the first byte; borrowed for the call
   * @returns false where something has to wait: `drain` will be called
   * @throws FdsetError `ERR_FDSET_CHANNEL`: no byte to carry the fds, too many fds, or the channel's end was called
   * @throws SystemError the fds were not accepted (EBADF, EMFILE, ETOOMANYREFS); nothing was sent
   */
  write(data: string | Uint8Array, fds?: readonly number[]): boolean {
    const fdCount = fds?.length ?? 0;
    if (fdCount > 0) checkFds(data, fdCount);
    if (this.#closing || data.length === 0) return this.#queued === 0;
    if (this.#ended) throw channelError('the sending side of the channel has ended');
    if (this.#corks > 0 && typeof data === 'string' && fdCount === 0) {
      this.#corked += data;
      if (this.#corked.length >= MAX_CORKED) this.#sendCorked();
      return this.#queued === 0;
    }
    this.#sendCorked();
    this.#queued = socketWrite(this.#handle, data, fdCount > 0 ? fds : undefined);
    return this.#queued === 0;
  }

  /** Holds back strings without fds until {@link Channel.uncork}, or some 1600 bytes, to send them at once. Calls nest. */
  cork(): void {
    this.#corks++;
  }

  /** Sends what was held back since the matching {@link Channel.cork}. */
  uncork(): void {
    if (this.#corks === 0) throw channelError('uncork without cork');
    if (--this.#corks === 0) this.#sendCorked();
  }

  #sendCorked(): void {
    if (this.#corked === '') return;
    const text = this.#corked;
    this.#corked = '';
    if (!this.#closing) this.#queued = socketWrite(this.#handle, text, undefined);
  }

  /**
   * Takes an fd as a QEMU command does that ends before offset `before`. Of the messages with fds whose first byte lies
   * before that offset the newest has replaced the others, which are closed; its first fd is given away, the rest closed.
   * Source: docs/reference/fdset.md section 1.
   * @returns the fd, owned by the caller, or null where none has come
   * @throws FdsetError `ERR_FDSET_FD_REFUSED` where one has come, but the process is too near its limit of open files
   */
  takeFd(before: number): OwnedFd | null {
    if (this.#waiting === 0 || this.#closing) return null;
    const fd = socketTakeFd(this.#handle, before);
    if (fd === FD_REFUSED) throw new FdsetError('ERR_FDSET_FD_REFUSED', refusedText);
    return fd === NO_FD ? null : new OwnedFd(fd);
  }

  /** Closes the fds that a message whose first byte lies before offset `before` has replaced. */
  settleFds(before: number): void {
    if (this.#waiting < 2 || this.#closing) return;
    socketSettleFds(this.#handle, before);
    if (before >= this.#received) this.#waiting = 1;
  }

  /** Stops reading: no `data` and no `end` until {@link Channel.resume}. */
  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  #setPaused(on: boolean): void {
    if (this.#closing || this.#paused === on) return;
    this.#paused = on;
    socketPause(this.#handle, on);
    this.#keepAlive.needed = on || this.#peerEnded;
  }

  /** The channel keeps the process alive, as it does when opened, paused or not. */
  ref(): void {
    this.#setRef(true);
  }

  unref(): void {
    this.#setRef(false);
  }

  #setRef(on: boolean): void {
    if (this.#closing) return;
    socketRef(this.#handle, on);
    this.#keepAlive.wanted = on;
  }

  /** Ends the sending side when everything is sent. When the peer has ended too, the channel closes. */
  end(): void {
    if (this.#closing || this.#ended) return;
    this.#sendCorked();
    this.#ended = true;
    socketEnd(this.#handle);
  }

  /** Closes at once, dropping what is not sent; `close` is told `error`. May be called any number of times. */
  destroy(error?: Error): void {
    if (this.#closing) return;
    this.#error = error;
    this.#setClosing();
    socketDestroy(this.#handle);
  }

  #setClosing(): void {
    this.#closing = true;
    this.#keepAlive.needed = false;
    this.#corked = '';
    this.#queued = 0;
  }

  /** Who has connected; undefined where the socket is not a Unix socket. */
  peerCred(): PeerCredentials | undefined {
    return this.#peer;
  }

  /** Native code lets what is thrown here surface as an uncaught exception. */
  #event(event: number, first: number, second: number): void {
    try {
      this.#tell(event, first, second);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  #tell(event: number, first: number, second: number): void {
    switch (event) {
      case SocketEvent.data:
        this.#received += first;
        this.#waiting = second;
        this.#handlers.data?.(this, this.#buffer.subarray(0, first));
        return;
      case SocketEvent.end:
        this.#peerEnded = true;
        this.#keepAlive.needed = true;
        this.#handlers.end?.(this);
        return;
      case SocketEvent.drain:
        this.#queued = 0;
        this.#handlers.drain?.(this);
        return;
      default:
        this.#setClosing();
        this.#handlers.close?.(this, this.#error ?? socketError(first, second));
    }
  }
}

/** What an add-fd is answered where its fd could not be kept; QEMU has no words for it. */
const refusedText = 'The file descriptor was refused: this process is near its limit of open files';

function checkFds(data: string | Uint8Array, count: number): void {
  if (data.length === 0) throw channelError('fds need at least one byte to go with');
  if (count > MAX_SENT_FDS) throw channelError(`${count} fds in one message: at most ${MAX_SENT_FDS} can be sent`);
}

function channelError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_CHANNEL', message);
}
