// What does a frontend, such as a monitor, know of the character device below it?
import type { Channel, ChannelHandlers } from '../socket/index.ts';

/** What sits on a character device: it is told of each client. */
export interface CharFrontend {
  /**
   * A client has come. Calling `open` at once, and once, opens the channel over its connection; the next client comes
   * after that channel has closed.
   */
  connected(open: (handlers: ChannelHandlers) => Channel): void;
}

/** A character device. */
export interface Chardev {
  readonly id: string;
  /** Gives the device its one frontend: clients are served from now on. */
  attach(frontend: CharFrontend): void;
  /** Takes no more clients. An open channel stays open: it is the frontend's to close. Idempotent. */
  close(): void;
}
