// Which fds has the user given a name? getfd and closefd of one monitor.
import { nameNotFound, nameStartsWithDigit, noSuchName } from './fdset-errors.ts';
import type { OwnedFd } from './owned-fd.ts';

/** The named fds of one monitor: they outlive its connections, other monitors do not see them, no fd set has them. */
export class NamedFds {
  readonly #fds = new Map<string, OwnedFd>();

  /**
   * getfd: takes ownership of `fd` (also where it throws: then it is closed). An fd that had the name is closed.
   * @throws FdsetError the name begins with a digit, which would make it a number elsewhere
   */
  set(name: string, fd: OwnedFd): void {
    if (/^[0-9]/.test(name)) {
      fd.close();
      throw nameStartsWithDigit();
    }
    const previous = this.#fds.get(name);
    this.#fds.set(name, fd);
    previous?.close();
  }

  /**
   * closefd: closes the fd and forgets the name.
   * @returns a promise where the file keeps its close waiting, to be fulfilled when it is closed, or soon all the same
   * @throws FdsetError no such name
   */
  close(name: string): Promise<void> | undefined {
    const fd = this.#fds.get(name);
    if (fd === undefined) throw noSuchName(name);
    this.#fds.delete(name);
    return fd.closeInTime();
  }

  /**
   * Gives the fd to a command that uses it, which owns it from now on, and forgets the name.
   * @throws FdsetError no such name
   */
  take(name: string): OwnedFd {
    const fd = this.#fds.get(name);
    if (fd === undefined) throw nameNotFound(name);
    this.#fds.delete(name);
    return fd;
  }

  /** The names that are taken. */
  get names(): string[] {
    return [...this.#fds.keys()];
  }

  /** Closes what is left. */
  [Symbol.dispose](): void {
    const left = [...this.#fds.values()];
    this.#fds.clear();
    for (const fd of left) fd.close();
  }
}
