// What does a frontend, such as a monitor, know of the character device below it?
import type { Channel, ChannelHandlers } from '../socket/index.ts';

/** A client's connection as a frontend uses it: a {@link Channel}, or what behaves as one over another transport. */
export type CharChannel = Pick<
  Channel,
  | 'bytesReceived'
  | 'bufferedBytes'
  | 'write'
  | 'cork'
  | 'uncork'
  | 'takeFd'
  | 'settleFds'
  | 'pause'
  | 'resume'
  | 'destroy'
  | 'peerCred'
>;

/** What sits on a character device: it is told of each client. */
export interface CharFrontend {
  /**
   * A client has come. Calling `open` at once, and once, opens the channel over its connection; the next client comes
   * after that channel has closed.
   */
  connected(open: (handlers: ChannelHandlers) => CharChannel): void;
}

/** A character device. */
export interface Chardev {
  readonly id: string;
  /** Gives the device its one frontend: clients are served from now on. */
  attach(frontend: CharFrontend): void;
  /** Takes no more clients. An open channel stays open: it is the frontend's to close. Idempotent. */
  close(): void;
}
