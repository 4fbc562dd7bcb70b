// When may the fd of a node be closed? When no system call uses it any more: closing it under a thread that is stuck in a
// read would let the number be reused for another file under that thread.
import { constants } from 'node:os';

import { SystemError } from '../addon/index.ts';
import type { OpenedFile } from './open-file.ts';

/** An opened file with a count of the operations that use it; the only owner of its fd. */
export class HeldFile {
  readonly #opened: OpenedFile;
  readonly #closed: Promise<void>;
  #tellClosed: () => void = () => undefined;
  #users = 0;
  #retired = false;
  #isClosed = false;

  constructor(opened: OpenedFile) {
    this.#opened = opened;
    this.#closed = new Promise((resolve) => (this.#tellClosed = resolve));
  }

  /** Operations that use the fd. */
  get users(): number {
    return this.#users;
  }

  /** What identifies the open file description: OFD locks belong to it, not to the fd. */
  get description(): object {
    return this.#opened.description ?? this.#opened;
  }

  /** Resolves when close(2) has returned. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /**
   * Runs `operation` with the fd, which stays open until it is back.
   * @throws SystemError EBADF where the file is closed already
   */
  async use<T>(operation: (fd: number) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new SystemError(constants.errno.EBADF, 'block request');
    this.#users++;
    try {
      return await operation(this.#opened.fd);
    } finally {
      this.#users--;
      this.#closeIfUnused();
    }
  }

  /** The same for an operation that is over when it returns; undefined where the file is closed already. */
  useNow<T>(operation: (fd: number) => T): T | undefined {
    return this.#isClosed ? undefined : operation(this.#opened.fd);
  }

  /** Gives the file up: it is closed now, or when its last operation is back. Once. */
  retire(): void {
    if (this.#retired) throw new Error('a held file is retired twice');
    this.#retired = true;
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (!this.#retired || this.#users > 0) return;
    this.#isClosed = true;
    void this.#close();
  }

  async #close(): Promise<void> {
    try {
      await this.#opened.close();
    } catch {
      // close(2) frees the number whatever it returns, and nobody is left to hear its error.
    } finally {
      this.#tellClosed();
    }
  }
}
