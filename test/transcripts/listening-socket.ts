// A listening Unix socket as a bare fd, to be handed to somebody.
import { socketBind, socketListen, socketMake } from '../../src/addon/index.ts';
import { unixSockaddr } from '../../src/socket/address.ts';

/** Listens on `path`. The caller owns the fd, and the file stays. */
export function listeningSocket(path: string): number {
  const address = unixSockaddr(path);
  const fd = socketMake(address);
  socketBind(fd, address);
  socketListen(fd, 5);
  return fd;
}
