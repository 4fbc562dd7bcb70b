// Which fds has whoever started this program handed to it, and who takes each? An fd of the command line (`--add-fd
// fd=3`, `fd=4`) is claimed once as a socket, or any number of times as the source of members of fd sets; what is left
// when all options are done is closed.
import { FdsetError } from '../errors.ts';
import { listInheritedFds, type OwnedFd, takeInheritedFd } from '../fds/index.ts';

export class InheritedFds {
  readonly #claimed = new Map<number, OwnedFd>();

  /**
   * The inherited fd with this number, lent: it stays here.
   *
   * @throws FdsetError in QEMU's words where there is none
   */
  get(fd: number): OwnedFd {
    const owned = this.#claimed.get(fd) ?? takeInheritedFd(fd);
    this.#claimed.set(fd, owned);
    return owned;
  }

  /** The same, given away: the caller owns it. */
  take(fd: number): OwnedFd {
    const owned = this.get(fd);
    this.#claimed.delete(fd);
    return owned;
  }

  /**
   * The socket that an address names, given away.
   *
   * @param str the number of the fd
   * @throws FdsetError in QEMU's words
   */
  takeSocket(str: string): OwnedFd {
    if (!/^\d+$/.test(str)) throw addressError(`Unable to parse FD number ${str}`);
    const fd = Number(str);
    if (!this.#claimed.has(fd) && !listInheritedFds().includes(fd)) {
      throw addressError(`File descriptor '${str}' is not a socket`);
    }
    return this.take(fd);
  }

  /** Closes what nobody took. */
  close(): void {
    for (const owned of this.#claimed.values()) owned[Symbol.dispose]();
    this.#claimed.clear();
  }
}

function addressError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_ADDRESS', message);
}
