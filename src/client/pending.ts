// Which call does a reply belong to? The one with its id. Ids are as short as they can be, since QEMU reads a byte per
// system call, and at least twice as many as there are calls in flight, so that a reply that comes twice is noticed.
import type { JsonValue } from '../json/index.ts';
import type { QmpValue } from './plain.ts';
import type { CallSite } from './qmp-error.ts';

/** A command that was handed over. It is settled once; what comes later is dropped. */
export class Call {
  readonly command: string;
  readonly site: CallSite;
  readonly oob: boolean;
  readonly carriesFds: boolean;
  readonly #resolve: (value: QmpValue) => void;
  readonly #reject: (error: unknown) => void;
  /** Undoes what waits for this call: its timer, its listener on a signal. */
  cleanUp: (() => void) | undefined;
  /** Nobody waits for it any more, while the server may still work on it. */
  settled = false;

  constructor(
    command: string,
    site: CallSite,
    oob: boolean,
    carriesFds: boolean,
    resolve: (value: QmpValue) => void,
    reject: (error: unknown) => void,
  ) {
    this.command = command;
    this.site = site;
    this.oob = oob;
    this.carriesFds = carriesFds;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  resolve(value: QmpValue): void {
    if (!this.#settle()) return;
    this.#resolve(value);
  }

  reject(error: unknown): void {
    if (!this.#settle()) return;
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.cleanUp?.();
    this.cleanUp = undefined;
    return true;
  }
}

/** The calls that were sent and not answered, settled ones included: their answers still come. */
export class PendingCalls {
  readonly #calls = new Map<number, Call>();
  #lastId = 0;

  /** Whether somebody waits for any of them. */
  get waited(): boolean {
    for (const call of this.#calls.values()) if (!call.settled) return true;
    return false;
  }

  /** @returns the id that the reply will have */
  add(call: Call): number {
    const last = lastId(this.#calls.size);
    let id = this.#lastId;
    do id = id >= last ? 1 : id + 1;
    while (this.#calls.has(id));
    this.#lastId = id;
    this.#calls.set(id, call);
    return id;
  }

  /** Takes out the call of a reply; undefined where none with that id is waited for. */
  take(id: JsonValue | undefined): Call | undefined {
    const call = this.#calls.get(id as number);
    if (call !== undefined) this.#calls.delete(id as number);
    return call;
  }

  /** Takes out all. */
  drain(): Call[] {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    return calls;
  }
}

/** The largest id to be used beside so many calls: of as few digits as possible. */
function lastId(calls: number): number {
  let last = 9;
  while (calls * 2 > last) last = last * 10 + 9;
  return last;
}
