// What does a frontend, such as a monitor, know of the character device below it?
import { FdsetError } from '../errors.ts';
import type { Channel } from '../socket/index.ts';

/** A client's connection as a frontend uses it: a {@link Channel}, or what behaves as one over another transport. */
export type CharChannel = Pick<
  Channel,
  | 'bytesReceived'
  | 'bufferedBytes'
  | 'destroyed'
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

/** What a connection tells, as `ChannelHandlers` of sockets. */
export interface CharHandlers {
  /** Bytes arrived. They are lent for the call. */
  data?(channel: CharChannel, bytes: Uint8Array): void;
  /** The peer sends no more. */
  end?(channel: CharChannel): void;
  /** Nothing is queued any more. */
  drain?(channel: CharChannel): void;
  /** The last call, exactly one. */
  close?(channel: CharChannel, error?: Error): void;
}

/** Makes the channel over a connection. */
export type OpenChannel = (handlers: CharHandlers) => CharChannel;

/** What sits on a character device: it is told of each client. */
export interface CharFrontend {
  /**
   * A client has come. Calling `open` at once, and once, opens the channel over its connection; the next client comes
   * after that channel has closed.
   */
  connected(open: OpenChannel): void;
}

/** A character device, as a monitor uses it. */
export interface Chardev {
  readonly id: string;
  /** A monitor on it offers no out-of-band execution. */
  readonly inBandOnly?: boolean;
  /**
   * Gives the device its one frontend: clients are served from now on.
   *
   * @throws FdsetError it has one
   */
  attach(frontend: CharFrontend): void;
  /** Takes no more clients. An open channel stays open: it is the frontend's to close. Idempotent. */
  close(): void;
}

/** A character device that the chardev commands know. */
export interface ListedChardev extends Chardev {
  /** What `query-chardev` says of it now, such as `disconnected:unix:/run/qmp.sock,server=on`. */
  readonly filename: string;
  /** Whether it has its frontend. */
  readonly attached: boolean;
  /** Of a device that can be yanked: ends its connection at once, whatever state that is in. */
  yank?(): void;
}

/** What a device holds its frontend in. */
export class FrontendSlot {
  readonly #id: string;
  #frontend: CharFrontend | undefined;

  constructor(id: string) {
    this.#id = id;
  }

  get frontend(): CharFrontend | undefined {
    return this.#frontend;
  }

  /** @throws FdsetError in QEMU's words where there is one */
  set(frontend: CharFrontend): void {
    if (this.#frontend !== undefined) {
      throw new FdsetError('ERR_FDSET_CHARDEV', `chardev '${this.#id}' is already in use`);
    }
    this.#frontend = frontend;
  }
}
