// Which fd is meant? Two servers give other numbers to the same fd, so an fd is named by the command that made it:
// `m1#3` is the third that add-fd made on monitor 1. A number that is used again means the newest.

/** Numbers from here on belong to no fd: they stand for an fd whose number is not known any more, or never was. */
const NOBODY = 1_000_000;
/** Every number of an fd is written as wide as this, so that the bytes of both servers' requests lie at the same places. */
const WIDTH = 7;

interface Made {
  readonly name: string;
  readonly fd: number;
  readonly set: string;
  /** No command is known to have removed it. */
  listed: boolean;
}

/** The names of one server's fds, in one script. */
export class Naming {
  readonly #made: Made[] = [];
  readonly #newest = new Map<number, Made>();
  readonly #counts: number[] = [];
  /** The ids of the sets in the last listing. */
  sets: readonly string[] = [];

  /**
   * The set and number of an fd, for a request.
   * @param which counted from the newest that is still there
   */
  resolve(which: number): { readonly set: string; readonly fd: string } {
    const there = this.#made.filter(({ listed }) => listed);
    const made = there[there.length - 1 - (which % there.length)];
    if (made === undefined) return { set: '0', fd: pad(String(NOBODY - 1)) };
    const fd = this.#newest.get(made.fd) === made ? made.fd : NOBODY + this.#made.indexOf(made);
    return { set: made.set, fd: pad(String(fd)) };
  }

  /** The fds that are in sets as far as the last listing tells, with their numbers. */
  get listed(): readonly { readonly name: string; readonly fd: number }[] {
    return this.#made.filter(({ listed }) => listed);
  }

  /** To be called before the listing that `listed` shall tell of: an empty one does not say what it lists. */
  expectListing(): void {
    this.sets = [];
    for (const made of this.#made) made.listed = false;
  }

  /** A message of monitor `monitor` without what may differ between servers. Messages have to come in order. */
  canonical(monitor: number, line: string): string {
    const added = ADDED.exec(line);
    if (added !== null) return `{"return": {"fd": ${this.#add(monitor, added)}${line.slice(added[0].length)}`;
    if (line.startsWith(LISTING)) return this.#listing(line);
    if (line.startsWith('{"return": [{"name": ')) return `{"return": COMMANDS${line.slice(endOfReturn(line))}`;
    if (line.startsWith('{"QMP"') || line.startsWith('{"return": {"qemu"'))
      return line.replace(PACKAGE, PACKAGE_MASKED);
    if (NOT_DUPED.test(line)) return line.replace(NOT_DUPED, (_, fd: string) => `fd=${this.#nameOf(fd)}`);
    return line.replace(NOT_FOUND, (_, set: string, fd: string) => `'fdset-id:${set}, fd:${this.#nameOf(fd)}'`);
  }

  #add(monitor: number, [, fd, set]: RegExpExecArray): string {
    const count = (this.#counts[monitor] ?? 0) + 1;
    this.#counts[monitor] = count;
    const made: Made = { name: `m${monitor}#${count}`, fd: Number(fd), set: set!, listed: true };
    this.#made.push(made);
    this.#newest.set(made.fd, made);
    return `${made.name}, "fdset-id": ${set}`;
  }

  #listing(line: string): string {
    const end = endOfReturn(line);
    const seen = new Set<number>();
    const named = line.slice(0, end).replace(LISTED, (_, fd: string) => {
      seen.add(Number(fd));
      return `"fd": ${this.#nameOf(fd)}`;
    });
    this.sets = [...line.slice(0, end).matchAll(/"fdset-id": (\d+)/g)].map(([, id]) => id!);
    for (const made of this.#made) made.listed = seen.has(made.fd) && this.#newest.get(made.fd) === made;
    return named + line.slice(end);
  }

  #nameOf(digits: string): string {
    const fd = Number(digits);
    if (fd < 3) return digits;
    if (fd >= NOBODY) return this.#made[fd - NOBODY]?.name ?? digits;
    return this.#newest.get(fd)?.name ?? `unknown ${digits}`;
  }
}

const ADDED = /^\{"return": \{"fd": (\d+), "fdset-id": (\d+)/;
const LISTING = '{"return": [{"fds": [';
const LISTED = /"fd": (\d+)/g;
const PACKAGE = /"package": "[^"]*"/;
const PACKAGE_MASKED = '"package": ""';
const NOT_DUPED = /(?<=Failed to dup\(\) given file descriptor )fd=(\d+)(?="\}\}$)/;
const NOT_FOUND = /'fdset-id:(-?\d+), fd:(\d+)'(?= not found"\}\}$)/;

function pad(number: string): string {
  return number.padStart(WIDTH);
}

/** Where the value of `return` ends, which is the first member of the message. */
function endOfReturn(line: string): number {
  let depth = 0;
  for (let at = '{"return": '.length; at < line.length; at++) {
    const character = line[at];
    if (character === '"') {
      for (at++; line[at] !== '"'; at++) if (line[at] === '\\') at++;
    } else if (character === '[' || character === '{') {
      depth++;
    } else if ((character === ']' || character === '}') && --depth === 0) {
      return at + 1;
    }
  }
  return line.length;
}
