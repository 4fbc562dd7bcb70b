// What does a test hear on the qtest socket? The byte order of the machine, and OK to all else.
import { createConnection, Socket } from 'node:net';
import { createInterface } from 'node:readline';

import type { OwnedFd } from '../../../src/fds/index.ts';

/** @param where a path to connect to, or a connected socket, which it owns from now on */
export function answerQtest(where: string | OwnedFd): void {
  const socket = typeof where === 'string' ? createConnection(where) : new Socket({ fd: where.move() });
  socket.on('error', () => {});
  createInterface(socket).on('line', (line) => socket.write(line === 'endianness' ? 'OK little\n' : 'OK\n'));
}
