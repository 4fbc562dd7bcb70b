// Where does a server of ours listen? A socket address of QAPI becomes a listener: a Unix path, a TCP address, or a
// listening socket that somebody has passed. Texts: docs/reference/storage-daemon.md section 5, fdset.md section 10.
import { lookup } from 'node:dns/promises';

import { SystemError } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import type { InetSocketAddress, SocketAddress, UnixSocketAddress } from '../qapi/index.ts';
import { adoptListener, listenInet, listenUnix, type Listener } from '../socket/index.ts';

/** Gives away the fd that a string names: a name of getfd, or the number of an inherited fd. */
export type TakeFd = (str: string) => OwnedFd;

/** The longest path of a Unix socket in bytes, as QEMU counts: sun_path less its NUL. */
const MAX_UNIX_PATH = 107;

/**
 * Listens on an address; the listener accepts nothing until it is given somebody to tell.
 *
 * @param mode of a Unix socket's file; default what the umask leaves
 * @throws FdsetError with QEMU's text where nothing can listen there
 */
export async function listenOn(address: SocketAddress, takeFd: TakeFd, mode?: number): Promise<Listener> {
  switch (address.type) {
    case 'unix':
      return listenPath(address, mode);
    case 'inet':
      return listenTcp(address);
    case 'fd':
      return listenFd(address.str, takeFd(address.str));
    case 'vsock':
      throw addressError('socket family AF_VSOCK unsupported');
  }
}

function listenPath({ path, abstract }: UnixSocketAddress, mode: number | undefined): Listener {
  const name = abstract === true ? `@${path}` : path.startsWith('@') ? `./${path}` : path;
  if (Buffer.byteLength(path) > MAX_UNIX_PATH) throw addressError(`UNIX socket path '${path}' is too long`);
  try {
    return listenUnix(name, mode === undefined ? {} : { mode });
  } catch (error) {
    throw addressError(`Failed to bind socket to ${path}: ${reasonOf(error)}`, error);
  }
}

async function listenTcp({ host, port, ipv4, ipv6, to }: InetSocketAddress): Promise<Listener> {
  const first = portNumber(port);
  const last = to === undefined ? first : Math.max(first, to);
  const addresses = await resolveHost(host, ipv4 !== false, ipv6 !== false);
  let failure: unknown;
  for (let candidate = first; candidate <= last; candidate++) {
    for (const address of addresses) {
      try {
        return listenInet(address, candidate);
      } catch (error) {
        failure = error;
      }
    }
  }
  throw addressError(`Failed to find an available port: ${reasonOf(failure)}`, failure);
}

function portNumber(port: string): number {
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port);
  throw addressError(`invalid port '${port}': give a number from 0 to 65535`);
}

/** Addresses in the order in which they are tried; an empty host means every address of this machine. */
async function resolveHost(host: string, ipv4: boolean, ipv6: boolean): Promise<string[]> {
  if (host === '') return ipv6 ? ['::'] : ['0.0.0.0'];
  try {
    const found = await lookup(host, { all: true });
    const wanted = found.filter(({ family }) => (family === 4 ? ipv4 : ipv6)).map(({ address }) => address);
    if (wanted.length > 0) return wanted;
  } catch (error) {
    throw addressError(`address resolution failed for ${host}: ${reasonOf(error)}`, error);
  }
  throw addressError(`address resolution failed for ${host}: it has no address of a family that is wanted`);
}

// fstat(2) would tell whether it is a socket, and would wait for the server of a file that is none.
function listenFd(name: string, fd: OwnedFd): Listener {
  try {
    return adoptListener(fd);
  } catch (error) {
    const code = error instanceof SystemError ? error.errnoName : '';
    // EBADF: O_PATH
    if (code === 'ENOTSOCK' || code === 'EBADF') throw addressError(`File descriptor '${name}' is not a socket`, error);
    throw addressError(`File descriptor '${name}' cannot be listened on: ${reasonOf(error)}`, error);
  }
}

function addressError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_ADDRESS', message, { cause });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
