// Which files are passed? A dozen that can be told apart by inode and flags, opened anew for each server, since what a
// server does to an open file description (O_NONBLOCK) shall not be seen by the other.
import { openSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeFd, getStatusFlags, O, pipe, setStatusFlags, socketPair } from '../../../src/addon/index.ts';

interface PassedFile {
  readonly fd: number;
  /** O_NONBLOCK is set each time it is sent alone: servers clear it on arrival. */
  readonly nonblocking?: boolean;
}

/** How many files there are to choose from. */
export const FILES = 12;

/** The files for one server. */
export class PassedFiles {
  readonly #files: readonly PassedFile[];
  readonly #fds: number[] = [];
  readonly #names = new Map<string, string>();

  /** @param folder where the regular files are made, unless they are there */
  constructor(folder: string) {
    const regular = (name: string, flags: number): PassedFile => {
      const path = join(folder, name);
      writeFileSync(path, name);
      return { fd: this.#keep(openSync(path, flags), name) };
    };
    const [reader, writer] = pipe();
    const [socket, peer] = socketPair();
    this.#keep(peer, 'socket-peer');
    this.#files = [
      regular('a', O.O_RDWR),
      regular('a', O.O_RDONLY),
      regular('b', O.O_RDONLY),
      regular('b', O.O_RDWR | O.O_APPEND),
      regular('c', O.O_WRONLY),
      regular('d', O.O_RDWR | O.O_DSYNC),
      { fd: this.#keep(openSync('/dev/zero', O.O_RDWR), 'zero') },
      { fd: this.#keep(reader, 'pipe'), nonblocking: true },
      { fd: this.#keep(writer, 'pipe') },
      { fd: this.#keep(socket, 'socket'), nonblocking: true },
      { fd: this.#keep(openSync(folder, O.O_RDONLY | O.O_DIRECTORY), 'folder') },
      { fd: this.#keep(openSync(join(folder, 'a'), O.O_PATH), 'a') },
    ];
    if (this.#files.length !== FILES) throw new Error(`${this.#files.length} files`);
  }

  #keep(fd: number, name: string): number {
    this.#fds.push(fd);
    this.#names.set(identity(`/proc/self/fd/${fd}`), name);
    return fd;
  }

  /**
   * The fds of one message.
   * @param received false where the server may not read it any more
   */
  take(indices: readonly number[], received = true): number[] {
    return indices.map((index) => {
      const { fd, nonblocking = false } = this.#files[index]!;
      // Of several only the first is certain to be looked at (docs/decisions/socket.md).
      if (nonblocking && received && indices.length === 1) setStatusFlags(fd, getStatusFlags(fd) | O.O_NONBLOCK);
      return fd;
    });
  }

  /** What fd `fd` of process `pid` is: one of our files with its flags, or undefined for any other file. */
  describe(pid: number, fd: number | string): string | undefined {
    try {
      const name = this.#names.get(identity(`/proc/${pid}/fd/${fd}`));
      if (name === undefined) return undefined;
      const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
      return `${name} flags=${flags}`;
    } catch {
      return undefined; // closed meanwhile
    }
  }

  /** How often `pid` has each of our files open. */
  held(pid: number): Map<string, number> {
    const counts = new Map<string, number>();
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const file = this.describe(pid, fd);
      if (file !== undefined) counts.set(file, (counts.get(file) ?? 0) + 1);
    }
    return counts;
  }

  close(): void {
    for (const fd of this.#fds) closeFd(fd);
  }
}

/** Which file it is: device and inode, whatever the path. */
function identity(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}
