// Who is told of an event? As QEMU's qapi/qmp-event.c. Rules: qmp.md section 3.
import type { EventData, EventDefinition } from '../qapi/index.ts';
import type { JsonOutput } from '../json/index.ts';
import { encodeEvent, timestampNow } from '../qmp/index.ts';

/** A session in command mode. */
export interface EventSink {
  readonly pretty: boolean;
  sendEvent(text: string): void;
}

/** The sessions of all monitors that get events. */
export class MonitorEvents {
  readonly #sinks = new Set<EventSink>();

  add(sink: EventSink): void {
    this.#sinks.add(sink);
  }

  delete(sink: EventSink): void {
    this.#sinks.delete(sink);
  }

  /** Sends an event to every session in command mode, between its messages; what was missed is not sent later. */
  broadcast<E extends EventDefinition>(definition: E, data: EventData<E>): void {
    const timestamp = timestampNow();
    for (const sink of this.#sinks) {
      const { pretty } = sink;
      sink.sendEvent(encodeEvent(definition.name, data as JsonOutput | undefined, timestamp, { pretty }));
    }
  }
}
