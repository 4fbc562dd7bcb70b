// Which fd does a transcript mean? `MODE[+FLAG...]:FILE`, `null`, `pipe-r`, `socket`, `socket:KEPT`, `listen:FILE`, `same:KEPT`, with a
// trailing `=KEPT` for a copy that the client keeps: see test/fixtures/transcripts/README.md.
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pipe, socketPair } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';

const MODES: Readonly<Record<string, number>> = {
  r: constants.O_RDONLY,
  w: constants.O_WRONLY,
  rw: constants.O_RDWR,
};
const O_PATH = 0o10000000;
const FLAGS: Readonly<Record<string, number>> = {
  direct: constants.O_DIRECT,
  append: constants.O_APPEND,
  sync: constants.O_SYNC,
  dsync: constants.O_DSYNC,
  nonblock: constants.O_NONBLOCK,
  creat: constants.O_CREAT,
  noatime: constants.O_NOATIME,
  path: O_PATH,
};
const SHOWN_FLAGS: readonly (readonly [string, number])[] = [
  ['O_APPEND', constants.O_APPEND],
  ['O_NONBLOCK', constants.O_NONBLOCK],
  ['O_SYNC', constants.O_SYNC],
  ['O_DSYNC', constants.O_DSYNC],
  ['O_DIRECT', constants.O_DIRECT],
  ['O_NOATIME', constants.O_NOATIME],
];

/** Makes a listening Unix socket and gives its fd away. */
export type Listen = (path: string) => number;

/** The fds that the client of a scenario has open. */
export class ClientFds {
  readonly #dir: string;
  readonly #listen: Listen;
  readonly #kept = new Map<string, number>();

  constructor(dir: string, listen: Listen) {
    this.#dir = dir;
    this.#listen = listen;
  }

  /** Opens what `spec` says. The caller closes `extra` once the fd is sent. */
  open(spec: string): { fd: number; extra: number[] } {
    const [what = '', keep] = spec.split('=');
    const { fd, others } = this.#make(what);
    if (what.startsWith('same:')) return { fd, extra: [] };
    if (keep === undefined) return { fd, extra: [fd, ...others] };
    this.#kept.set(keep, fd);
    return { fd, extra: others };
  }

  #make(what: string): { fd: number; others: number[] } {
    const [mode = '', file = ''] = what.split(':');
    switch (mode) {
      case 'null':
        return { fd: openSync('/dev/null', 'r+'), others: [] };
      case 'pipe-r': {
        const [reading, writing] = pipe();
        return { fd: reading, others: [writing] };
      }
      case 'pipe-w': {
        const [reading, writing] = pipe();
        return { fd: writing, others: [reading] };
      }
      case 'socket': {
        const [one, other] = socketPair();
        if (file === '') return { fd: one, others: [other] };
        this.#kept.set(file, other);
        return { fd: one, others: [] };
      }
      case 'listen':
        return { fd: this.#listen(join(this.#dir, file)), others: [] };
      case 'same':
        return { fd: this.kept(file), others: [] };
      default:
        return { fd: openSync(resolve(this.#dir, file), openFlags(mode), 0o600), others: [] };
    }
  }

  kept(name: string): number {
    const fd = this.#kept.get(name);
    if (fd === undefined) throw new Error(`the client has kept no fd '${name}'`);
    return fd;
  }

  /** Gives a kept fd away. */
  give(name: string): OwnedFd {
    const fd = this.kept(name);
    this.#kept.delete(name);
    return new OwnedFd(fd);
  }

  /** Closes what `open` gave as extra. */
  close(fds: readonly number[]): void {
    for (const fd of fds) closeSync(fd);
  }

  closeAll(): void {
    for (const fd of this.#kept.values()) closeSync(fd);
    this.#kept.clear();
  }
}

function openFlags(mode: string): number {
  const [access = '', ...flags] = mode.split('+');
  return flags.reduce((bits, flag) => bits | known(FLAGS, flag), known(MODES, access));
}

function known(table: Readonly<Record<string, number>>, name: string): number {
  const value = table[name];
  if (value === undefined) throw new Error(`no fd spec has '${name}'`);
  return value;
}

/** The status flags of an fd of this process as the transcripts write them: `O_RDWR|O_DIRECT`. */
export function statusFlags(fd: number): string {
  const octal = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  let flags = Number.parseInt(octal ?? '', 8);
  const shown = [['O_RDONLY', 'O_WRONLY', 'O_RDWR', '?'][flags & 3]];
  for (const [name, bit] of SHOWN_FLAGS) {
    if ((flags & bit) !== bit) continue;
    shown.push(name);
    flags &= ~bit;
  }
  return shown.join('|');
}
