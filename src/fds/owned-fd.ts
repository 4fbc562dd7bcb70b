// Who closes an fd? Its one owner, an OwnedFd.
import { SystemError, close, closeAtOnce, closeUnattended, dupFd } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';

const gone = -1;

/** How long a close is waited for, in milliseconds, and how many may hang before nobody waits for a further one. */
const patience = 2000;
const mostHung = 16;

/**
 * The one owner of an open fd: it is closed exactly once, or given away with {@link OwnedFd.move}. Using an owner that
 * has nothing left is a programming error and throws `ERR_FDSET_FD_GONE`.
 *
 * Owners are not garbage collected into closing: who holds one closes it, moves it, or passes it on.
 */
export class OwnedFd {
  #fd: number;

  /** Takes ownership of `fd`; whoever had it before must not close it any more. */
  constructor(fd: number) {
    if (!Number.isInteger(fd) || fd < 0) throw new TypeError(`${fd} is not a file descriptor`);
    this.#fd = fd;
  }

  /** Takes ownership of `fd`: the constructor by its meaning. */
  static adopt(fd: number): OwnedFd {
    return new OwnedFd(fd);
  }

  /** The number, lent: valid as long as this owner has it. */
  get fd(): number {
    if (this.#fd === gone) throw goneError();
    return this.#fd;
  }

  /** Whether the fd was closed or moved. */
  get closed(): boolean {
    return this.#fd === gone;
  }

  /**
   * Closes the fd: now, or where the file may keep a close waiting (FUSE, a network, a terminal), on a thread soon.
   * Errors that a file system reports late (EIO, ENOSPC, EDQUOT) are left to those who flush.
   * @throws FdsetError `ERR_FDSET_FD_GONE` the second time
   * @throws SystemError EBADF where someone else has closed the number, which is a bug of theirs
   */
  close(): void {
    closeUnattended(this.move());
  }

  /**
   * As {@link OwnedFd.close}, for those who tell a client that the file is closed: where it was not closed at once, the
   * promise is fulfilled when it is, or after two seconds, which is as long as anyone waits for a file that hangs.
   */
  closeInTime(): Promise<void> | undefined {
    const fd = this.move();
    try {
      return closeAtOnce(fd) ? undefined : closePatiently(fd);
    } catch (error) {
      if (!(error instanceof SystemError) || error.errnoName === 'EBADF') throw error;
      return undefined;
    }
  }

  /** Gives up ownership and returns the number: from now on the caller must close it. */
  move(): number {
    const fd = this.fd;
    this.#fd = gone;
    return fd;
  }

  /**
   * A close-on-exec duplicate, owned by the caller. It shares the open file description: offset, status flags, OFD locks.
   * @throws SystemError EMFILE
   */
  dup(): OwnedFd {
    return new OwnedFd(dupFd(this.fd));
  }

  /** Closes the fd if it is still owned; may be called any number of times. */
  [Symbol.dispose](): void {
    if (!this.closed) this.close();
  }
}

let closing = 0;

async function closePatiently(fd: number): Promise<void> {
  if (closing >= mostHung) return closeUnattended(fd);
  closing++;
  const closed = close(fd)
    .catch(() => undefined)
    .finally(() => closing--);
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, patience)));
  await Promise.race([closed, tooLong]);
  clearTimeout(timer);
}

function goneError(): FdsetError {
  return new FdsetError('ERR_FDSET_FD_GONE', 'the file descriptor was closed or moved');
}
