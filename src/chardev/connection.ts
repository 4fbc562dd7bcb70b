// Where is the connection of a socket device? None, or held until there is a frontend, or open as the frontend's channel.
//
//   none ──── take(fd) ────► held ──── a frontend is attached ────► open
//     ▲                        │ drop()                               │ the channel closes, for whatever reason
//     └────────────────────────┴──────────────────────────────────────┘ gone() is called
import { SystemError } from '../addon/index.ts';
import type { OwnedFd } from '../fds/index.ts';
import { openChannel } from '../socket/index.ts';
import { type CharChannel, type CharFrontend, FrontendSlot } from './chardev.ts';

/** The one connection of a device at a time, and the device's frontend. */
export class Connection {
  readonly #slot: FrontendSlot;
  readonly #gone: () => void;
  #held: OwnedFd | undefined;
  #channel: CharChannel | undefined;

  /** @param gone the connection is over: there may be another one */
  constructor(id: string, gone: () => void) {
    this.#slot = new FrontendSlot(id);
    this.#gone = gone;
  }

  get attached(): boolean {
    return this.#slot.frontend !== undefined;
  }

  /** Whether there is a connection. */
  get present(): boolean {
    return this.#held !== undefined || this.#channel !== undefined;
  }

  /** @throws FdsetError there is a frontend already */
  attach(frontend: CharFrontend): void {
    this.#slot.set(frontend);
    this.#offer();
  }

  /** A connection is made; it is owned here from now on. */
  take(fd: OwnedFd): void {
    this.#held = fd;
    this.#offer();
  }

  /** Closes a connection that no frontend has taken. */
  drop(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.close();
  }

  /** Ends the connection at once. */
  end(): void {
    this.#channel?.destroy();
    if (this.#held === undefined) return;
    this.drop();
    this.#gone();
  }

  #offer(): void {
    const { frontend } = this.#slot;
    const fd = this.#held;
    if (frontend === undefined || fd === undefined) return;
    this.#held = undefined;
    try {
      frontend.connected((handlers) => {
        const close = (channel: CharChannel, error?: Error): void => {
          this.#channel = undefined;
          handlers.close?.(channel, error);
          this.#gone();
        };
        this.#channel = openChannel(fd, { ...handlers, close });
        return this.#channel;
      });
    } catch (error) {
      this.#refused(fd);
      // What the system refuses costs this connection, nothing else.
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** The frontend has failed to open the channel, or has thrown after it was open. */
  #refused(fd: OwnedFd): void {
    if (this.#channel !== undefined) return this.#channel.destroy();
    fd[Symbol.dispose]();
    this.#gone();
  }
}
