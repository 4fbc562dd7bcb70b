// Who is told of an event? As QEMU's qapi/qmp-event.c. Rules: qmp.md section 3.
import type { EventData, EventDefinition } from '../qapi/index.ts';
import type { JsonOutput } from '../json/index.ts';
import { encodeEvent, timestampNow } from '../qmp/index.ts';
import { EventThrottle, type RateLimit } from './event-throttle.ts';

type Timestamp = ReturnType<typeof timestampNow>;

/** A session in command mode. */
export interface EventSink {
  readonly pretty: boolean;
  sendEvent(text: string): void;
}

/** The sessions of all monitors that get events. */
export class MonitorEvents {
  readonly #sinks = new Set<EventSink>();
  readonly #rateLimit: (event: string) => RateLimit | undefined;
  readonly #throttle = new EventThrottle();

  /** @param rateLimit how often an event may be sent; undefined: whenever it happens */
  constructor(rateLimit: (event: string) => RateLimit | undefined = () => undefined) {
    this.#rateLimit = rateLimit;
  }

  add(sink: EventSink): void {
    this.#sinks.add(sink);
  }

  delete(sink: EventSink): void {
    this.#sinks.delete(sink);
  }

  /**
   * Sends an event to every session in command mode, between its messages; what was missed is not sent later. One that
   * may not be sent so often goes to those that are there when it may.
   */
  broadcast<E extends EventDefinition>(definition: E, data: EventData<E>): void {
    const { name } = definition;
    const timestamp = timestampNow();
    const limit = this.#rateLimit(name);
    const send = (): void => this.#send(name, data as JsonOutput | undefined, timestamp);
    if (limit === undefined) send();
    else this.#throttle.send(streamOf(name, data, limit), limit.intervalMs, send);
  }

  #send(name: string, data: JsonOutput | undefined, timestamp: Timestamp): void {
    for (const sink of this.#sinks) {
      const { pretty } = sink;
      sink.sendEvent(encodeEvent(name, data, timestamp, { pretty }));
    }
  }
}

/** The stream of events that an event belongs to. */
function streamOf(name: string, data: unknown, { apart = [] }: RateLimit): string {
  const members = data as Readonly<Record<string, unknown>>;
  return JSON.stringify([name, ...apart.map((member) => String(members[member]))]);
}
