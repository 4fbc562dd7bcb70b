// Which call does a reply belong to? QEMU reads a byte per system call, so an id of one digit is a fifth of the time of a
// short command: ids are as short as they can be, and a reply that comes twice is noticed all the same.
//
//  calls         | where                                     | ids
//  --------------|-------------------------------------------|---------------------------------------------------------
//  OrderedCalls  | the server answers in order, as QMP says  | every other call has none, those between 1 to 9 in turn:
//                | for a session without out-of-band         | the second reply to a call is none of the next one's
//  NumberedCalls | out-of-band, an observer, ids: 'always'   | twice as many as there are calls in flight
import type { JsonValue } from '../json/index.ts';
import type { QmpValue } from './plain.ts';

/** A command that was handed over. It is settled once; what comes later is dropped. */
export class Call {
  readonly command: string;
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
    oob: boolean,
    carriesFds: boolean,
    resolve: (value: QmpValue) => void,
    reject: (error: unknown) => void,
  ) {
    this.command = command;
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
export interface PendingCalls {
  /** Whether somebody waits for any of them. */
  readonly waited: boolean;
  /** @returns the id that the command is sent with and the reply will have; undefined for none */
  add(call: Call): number | undefined;
  /** Takes out the call that was added last: it could not be sent. */
  undo(): void;
  /** Takes out the call of a reply; undefined where none is waited for that this could be the reply to. */
  take(id: JsonValue | undefined): Call | undefined;
  /** Takes out all. */
  drain(): Call[];
}

/** For a server that may overtake: every id is one of its own. */
export class NumberedCalls implements PendingCalls {
  readonly #calls = new Map<number, Call>();
  #lastId = 0;

  get waited(): boolean {
    for (const call of this.#calls.values()) if (!call.settled) return true;
    return false;
  }

  add(call: Call): number {
    const last = lastId(this.#calls.size);
    let id = this.#lastId;
    do id = id >= last ? 1 : id + 1;
    while (this.#calls.has(id));
    this.#lastId = id;
    this.#calls.set(id, call);
    return id;
  }

  undo(): void {
    this.#calls.delete(this.#lastId);
  }

  take(id: JsonValue | undefined): Call | undefined {
    const call = this.#calls.get(id as number);
    if (call !== undefined) this.#calls.delete(id as number);
    return call;
  }

  drain(): Call[] {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    return calls;
  }
}

/** For a server that answers in order: the reply has to be the one whose turn it is. */
export class OrderedCalls implements PendingCalls {
  /** A ring, of a power of two: calls and ids from #first, #count of them. */
  #calls: (Call | undefined)[] = empty(16);
  #ids: (number | undefined)[] = empty(16);
  #first = 0;
  #count = 0;
  #sent = 0;

  get waited(): boolean {
    for (let i = 0; i < this.#count; i++) if (!this.#at(i).settled) return true;
    return false;
  }

  add(call: Call): number | undefined {
    if (this.#count === this.#calls.length) this.#grow();
    const at = (this.#first + this.#count++) & (this.#calls.length - 1);
    const id = this.#sent % 2 === 0 ? 1 + ((this.#sent / 2) % 9) : undefined;
    this.#sent++;
    this.#calls[at] = call;
    this.#ids[at] = id;
    return id;
  }

  undo(): void {
    this.#sent--;
    this.#count--;
    this.#calls[(this.#first + this.#count) & (this.#calls.length - 1)] = undefined;
  }

  take(id: JsonValue | undefined): Call | undefined {
    const first = this.#first;
    if (this.#count === 0 || this.#ids[first] !== id) return undefined;
    const call = this.#calls[first];
    this.#calls[first] = undefined;
    this.#first = (first + 1) & (this.#calls.length - 1);
    this.#count--;
    return call;
  }

  drain(): Call[] {
    const calls = Array.from({ length: this.#count }, (_, i) => this.#at(i));
    this.#calls.fill(undefined);
    this.#count = 0;
    return calls;
  }

  #at(index: number): Call {
    return this.#calls[(this.#first + index) & (this.#calls.length - 1)]!;
  }

  #grow(): void {
    const { length } = this.#calls;
    const unrolled = <T>(ring: readonly T[]): T[] => [...ring.slice(this.#first), ...ring.slice(0, this.#first)];
    this.#calls = [...unrolled(this.#calls), ...empty(length)];
    this.#ids = [...unrolled(this.#ids), ...empty(length)];
    this.#first = 0;
  }
}

function empty(length: number): undefined[] {
  return Array.from({ length }, () => undefined);
}

/** The largest id to be used beside so many calls: of as few digits as possible. */
function lastId(calls: number): number {
  let last = 9;
  while (calls * 2 > last) last = last * 10 + 9;
  return last;
}
