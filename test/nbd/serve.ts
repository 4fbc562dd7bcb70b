// Connections for tests: an NbdServer whose clients come over socket pairs, without any address.
import { Socket } from 'node:net';

import { socketPair } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { NbdClient, type NbdClientOptions, type NbdServer } from '../../src/nbd/index.ts';

/** The client's end of a new connection to `server`. */
export function connectSocket(server: NbdServer): Socket {
  const [ours, theirs] = socketPair();
  server.accept(new OwnedFd(theirs));
  return new Socket({ fd: ours, readable: true, writable: true });
}

export function connect(server: NbdServer, options?: NbdClientOptions): Promise<NbdClient> {
  return NbdClient.connect({ socket: connectSocket(server) }, options);
}

/** Waits until `condition` holds; fails after 10 s with `what`. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Something to be settled from outside. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
