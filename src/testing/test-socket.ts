// What happens to a client that connects to a test's QEMU? It is served, refused, hung up on, or never greeted.
import type { CharChannel, CharFrontend, Chardev } from '../chardev/index.ts';
import { SocketChardev } from '../chardev/index.ts';
import { listenUnix, type ChannelHandlers } from '../socket/index.ts';
import { closeSync, rmSync } from 'node:fs';
import { socketBind, socketMake, unixAddress } from '../addon/index.ts';
import { DisturbedChannel, type ChannelScript } from './disturbed-channel.ts';

/** How clients fare that come from now on. */
export type Reception =
  | 'serve'
  /** ECONNREFUSED: the socket's file is there, and nobody listens. */
  | 'refuse'
  /** Connected, and closed at once. */
  | 'hang-up'
  /** Connected, and never greeted: as by a monitor that another client holds. */
  | 'silent';

/** The socket of a test's QEMU: one client at a time, with a disturbed channel. */
export class TestSocket implements Chardev {
  readonly id = 'testing';
  readonly #path: string;
  readonly #scriptFor: (connection: number) => ChannelScript;
  readonly #open = new Set<CharChannel>();
  #frontend: CharFrontend | undefined;
  #socket: SocketChardev | undefined;
  #reception: Reception = 'serve';
  #connections = 0;

  constructor(path: string, scriptFor: (connection: number) => ChannelScript) {
    this.#path = path;
    this.#scriptFor = scriptFor;
  }

  attach(frontend: CharFrontend): void {
    this.#frontend = frontend;
    this.receive(this.#reception);
  }

  /** How clients fare from now on; those that are connected stay. */
  receive(reception: Reception): void {
    this.#reception = reception;
    if (reception !== 'refuse') {
      this.#socket ??= this.#listen();
      return;
    }
    this.#socket?.close();
    this.#socket = undefined;
    leaveDeadSocket(this.#path);
  }

  /** Closes the connections of now. */
  drop(): void {
    for (const channel of this.#open) channel.destroy();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #listen(): SocketChardev {
    const socket = new SocketChardev(this.id, { listener: listenUnix(this.#path) });
    socket.attach({ connected: (open) => this.#connected(open) });
    return socket;
  }

  #connected(open: (handlers: ChannelHandlers) => CharChannel): void {
    const remembering = (handlers: ChannelHandlers): CharChannel => {
      const channel = open({
        ...handlers,
        close: (self, error) => {
          this.#open.delete(channel);
          handlers.close?.(self, error);
        },
      });
      this.#open.add(channel);
      return channel;
    };
    if (this.#reception === 'serve') {
      const script = this.#scriptFor(++this.#connections);
      this.#frontend?.connected((handlers) => new DisturbedChannel(remembering, handlers, script));
      return;
    }
    const channel = remembering({ end: (self) => self.destroy() });
    if (this.#reception === 'hang-up') channel.destroy();
  }
}

/** A socket's file that nobody listens on. */
function leaveDeadSocket(path: string): void {
  const address = unixAddress(Buffer.from(path));
  rmSync(path, { force: true });
  const fd = socketMake(address);
  try {
    socketBind(fd, address);
  } finally {
    closeSync(fd);
  }
}
