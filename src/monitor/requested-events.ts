// Who is told of events that QEMU does not have? Only sessions that have asked for them, by topic: the name of the
// command that they ask with.
import { encodeEvent, timestampNow } from '../qmp/index.ts';
import type { JsonOutput } from '../json/index.ts';
import type { EventData, EventDefinition } from '../qapi/index.ts';
import type { EventSink } from './events.ts';

/** The sessions that have asked, of all monitors. */
export class RequestedEvents {
  readonly #sinks = new Map<string, Set<EventSink>>();

  /** Tells a session of a topic from now on, or no more. */
  request(topic: string, sink: EventSink, on: boolean): void {
    const sinks = this.#sinks.get(topic) ?? new Set();
    if (on) this.#sinks.set(topic, sinks.add(sink));
    else this.#delete(topic, sinks, sink);
  }

  /** The session is gone. */
  forget(sink: EventSink): void {
    for (const [topic, sinks] of this.#sinks) this.#delete(topic, sinks, sink);
  }

  /** Whether anybody wants to hear of the topic. */
  isRequested(topic: string): boolean {
    return this.#sinks.has(topic);
  }

  send<E extends EventDefinition>(topic: string, definition: E, data: EventData<E>): void {
    const timestamp = timestampNow();
    for (const sink of this.#sinks.get(topic) ?? []) {
      const { pretty } = sink;
      sink.sendEvent(encodeEvent(definition.name, data as JsonOutput | undefined, timestamp, { pretty }));
    }
  }

  #delete(topic: string, sinks: Set<EventSink>, sink: EventSink): void {
    sinks.delete(sink);
    if (sinks.size === 0) this.#sinks.delete(topic);
  }
}
