// Who is told of an event? Listeners at once, and streams, which keep a bounded number of events for a consumer that is
// slower than the server.
import type { FdsetError } from '../errors.ts';
import { eventsLostError } from './client-error.ts';
import type { QmpEvent } from './typed.ts';

/** Which events: a name, several, or all of them. */
export type EventNames<N extends string = string> = N | readonly N[] | '*';

export interface EventStreamOptions<E = QmpEvent> {
  /** Takes only events for which this is true; of those with the names asked for. */
  readonly where?: (event: E) => boolean;
  /** Events kept for a slow consumer. Default: 10,000. */
  readonly limit?: number;
  /**
   * What happens to an event beyond the limit: `drop-oldest` drops the oldest one and counts it in `dropped`; `throw` ends
   * the stream, after what it has kept, with `ERR_FDSET_QMP_EVENTS_LOST`. Default: `drop-oldest`.
   */
  readonly overflow?: 'drop-oldest' | 'throw';
  /** Ends the stream: the loop over it throws the signal's reason. */
  readonly signal?: AbortSignal;
}

const DEFAULT_LIMIT = 10_000;

interface Subscriber {
  readonly names: ReadonlySet<string> | undefined;
  deliver(event: QmpEvent): void;
  end(error: FdsetError | undefined): void;
}

/** The subscriptions of a client. They outlive a connection. */
export class EventHub {
  readonly #subscribers = new Set<Subscriber>();
  #ended = false;
  #error: FdsetError | undefined;

  /** Hands an event to everybody who wants it by now; `make` is called only if there is anyone. */
  dispatch(name: string, make: () => QmpEvent): void {
    let event: QmpEvent | undefined;
    const before = [...this.#subscribers];
    for (const subscriber of before) {
      if (subscriber.names !== undefined && !subscriber.names.has(name)) continue;
      if (!this.#subscribers.has(subscriber)) continue; // taken away by one before it
      subscriber.deliver((event ??= make()));
    }
  }

  /** No more events come: streams end, with the error where there is one. */
  end(error: FdsetError | undefined): void {
    this.#ended = true;
    this.#error = error;
    for (const subscriber of this.#subscribers) subscriber.end(error);
    this.#subscribers.clear();
  }

  /** @returns what takes the listener away again */
  listen(names: EventNames, listener: (event: QmpEvent) => void): () => void {
    const subscriber: Subscriber = {
      names: nameSet(names),
      deliver: (event) => callListener(() => listener(event)),
      end: () => undefined,
    };
    if (!this.#ended) this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  stream<E>(names: EventNames, options: EventStreamOptions<E>): EventStream<E> {
    const stream = new EventStream<E>(options, () => this.#subscribers.delete(subscriber));
    const subscriber: Subscriber = {
      names: nameSet(names),
      deliver: (event) => stream.push(event as E),
      end: (error) => stream.end(error),
    };
    if (this.#ended) {
      stream.end(this.#error);
    } else {
      this.#subscribers.add(subscriber);
      stream.begin();
    }
    return stream;
  }
}

function nameSet(names: EventNames): ReadonlySet<string> | undefined {
  if (names === '*') return undefined;
  return new Set(typeof names === 'string' ? [names] : names);
}

/** A listener that throws is a bug of its program, which is told of it; the connection is not to suffer. */
export function callListener(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

interface Waiting {
  readonly resolve: (result: IteratorResult<never, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Events to be iterated over, from the moment it was made: subscribe first, then ask, and nothing is lost in between.
 * Leaving the loop (`break`, an exception) ends the subscription, as {@link EventStream.close} does.
 */
export class EventStream<E = QmpEvent> implements AsyncIterableIterator<E, undefined> {
  readonly #where: ((event: never) => boolean) | undefined;
  readonly #throws: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #limit: number;
  readonly #unsubscribe: () => void;
  /** A ring: #count events from #first on. */
  #ring: unknown[] = [];
  #first = 0;
  #count = 0;
  #waiting: Waiting[] = [];
  #dropped = 0;
  #ended = false;
  #error: unknown;
  readonly #onAbort = (): void => {
    this.#clear();
    this.end(this.#signal?.reason);
  };

  constructor(options: EventStreamOptions<E>, unsubscribe: () => void) {
    this.#where = options.where;
    this.#throws = options.overflow === 'throw';
    this.#signal = options.signal;
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    if (!Number.isInteger(this.#limit) || this.#limit < 1) throw new RangeError('limit has to be a positive integer');
    this.#unsubscribe = unsubscribe;
  }

  /** Heeds the signal from now on. */
  begin(): void {
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Events that were dropped because the consumer is too slow. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Events that wait to be taken. */
  get buffered(): number {
    return this.#count;
  }

  /** Whether no more events are taken in. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes an event in. */
  push(event: E): void {
    if (this.#ended) return;
    try {
      if (this.#where?.(event as never) === false) return;
    } catch (error) {
      return this.end(error); // the loop throws what the filter has thrown
    }
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting.resolve({ value: event as never, done: false });
    else if (this.#count < this.#limit) this.#keep(event);
    else this.#overflow(event);
  }

  #overflow(event: E): void {
    if (this.#throws) {
      return this.end(eventsLostError(`more than ${this.#limit} events wait to be taken`));
    }
    this.#take();
    this.#dropped++;
    this.#keep(event);
  }

  #keep(event: E): void {
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[(this.#first + this.#count++) % this.#ring.length] = event;
  }

  #take(): E {
    const event = this.#ring[this.#first] as E;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#ring.length;
    this.#count--;
    return event;
  }

  #grow(): void {
    const size = Math.min(this.#limit, Math.max(16, 2 * this.#ring.length));
    const ring: unknown[] = Array.from({ length: size });
    for (let i = 0; i < this.#count; i++) ring[i] = this.#ring[(this.#first + i) % this.#ring.length];
    this.#ring = ring;
    this.#first = 0;
  }

  #clear(): void {
    this.#ring = [];
    this.#first = 0;
    this.#count = 0;
  }

  /** No more events come. Those that are kept are still handed out, then the error is thrown, if there is one. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#unsubscribe();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) this.#finish(each);
  }

  /** The error is thrown once. */
  #finish({ resolve, reject }: Waiting): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) resolve({ value: undefined, done: true });
    else reject(error);
  }

  next(): Promise<IteratorResult<E, undefined>> {
    if (this.#count > 0) return Promise.resolve({ value: this.#take(), done: false });
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      if (this.#ended) this.#finish(waiting);
      else this.#waiting.push(waiting);
    });
  }

  /** Takes the events that wait, without waiting for more. */
  takeBuffered(): E[] {
    return Array.from({ length: this.#count }, () => this.#take());
  }

  /** What a loop calls that is left. */
  return(): Promise<IteratorResult<E, undefined>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends the subscription and drops what is kept. */
  close(): void {
    this.#clear();
    this.end();
    this.#error = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
