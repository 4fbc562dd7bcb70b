// Which writes must wait for each other? One that has to read around its range first (read-modify-write, with O_DIRECT)
// must not overlap any other; the rest never wait.

interface Range {
  readonly start: number;
  readonly end: number;
  readonly exclusive: boolean;
  readonly released: Promise<void>;
}

/** Orders overlapping writes to one file. */
export class RangeLock {
  readonly #ranges = new Set<Range>();

  /** Runs `write` while it has [start, end): alone if `exclusive`, else beside others that are not. */
  async hold<T>(start: number, end: number, exclusive: boolean, write: () => Promise<T>): Promise<T> {
    for (let other = this.#inTheWay(start, end, exclusive); other; other = this.#inTheWay(start, end, exclusive)) {
      await other.released;
    }
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const range = { start, end, exclusive, released };
    this.#ranges.add(range);
    try {
      return await write();
    } finally {
      this.#ranges.delete(range);
      release();
    }
  }

  #inTheWay(start: number, end: number, exclusive: boolean): Range | undefined {
    for (const range of this.#ranges) {
      const overlaps = range.start < end && start < range.end;
      if (overlaps && (exclusive || range.exclusive)) return range;
    }
    return undefined;
  }
}
