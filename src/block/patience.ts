// How is a file that never answers kept from holding up a command? The command waits for so long and no longer; what the
// file still owes is counted, and cleaned up when it comes.
import { FdsetError } from '../errors.ts';

interface Bound<T> {
  readonly timeoutMs: number;
  /** What to do with a result that nobody waits for any more. */
  late(value: T): void;
  /** What to tell the one who waited. */
  timedOut(): FdsetError;
}

/** Operations of all nodes of a graph that outlived the patience of those who wanted them. */
export class Patience {
  readonly #mostHung: number;
  #hung = 0;

  constructor(mostHung: number) {
    this.#mostHung = mostHung;
  }

  /** Operations that somebody gave up on and that are not back yet. */
  get hung(): number {
    return this.#hung;
  }

  /** @throws FdsetError where so much hangs already that another dead file could use up the io pool. */
  checkRoom(what: string): void {
    if (this.#hung < this.#mostHung) return;
    throw new FdsetError(
      'ERR_FDSET_TOO_MANY_HUNG',
      `${what}: ${this.#hung} operations already wait for files that do not answer`,
    );
  }

  /** The result of `operation`, or after `timeoutMs` the error that `timedOut` makes. */
  async wait<T>(operation: Promise<T>, bound: Bound<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'timeout'>((resolve) => {
      timer = setTimeout(resolve, bound.timeoutMs, 'timeout');
    });
    try {
      const first = await Promise.race([operation.then((value) => ({ value })), timeout]);
      if (first !== 'timeout') return first.value;
    } finally {
      clearTimeout(timer);
    }
    this.giveUp(operation.then((value) => bound.late(value)));
    throw bound.timedOut();
  }

  /** Waits for `operation` for `timeoutMs` at most. False: it is not done yet, and goes on. Its errors are dropped. */
  async waitAtMost(operation: Promise<unknown>, timeoutMs: number): Promise<boolean> {
    const done = operation.then(
      () => true,
      () => true,
    );
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false);
    });
    try {
      return await Promise.race([done, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counts `count` operations, which nobody waits for any more, until `end` settles. */
  giveUp(end: Promise<unknown>, count = 1): void {
    this.#hung += count;
    const back = (): void => {
      this.#hung -= count;
    };
    end.then(back, back);
  }
}
