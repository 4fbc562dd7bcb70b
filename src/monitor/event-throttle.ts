// How often may an event be sent? As QEMU's monitor_qapi_event_conf: the first at once; of those that come within the
// interval the newest only, when it is over, with the time at which it happened. Source: docs/reference/qmp.md section 3.

/** What an event is limited by. */
export interface RateLimit {
  /** Least milliseconds between two events. */
  readonly intervalMs: number;
  /** Members of the data that tell streams of events apart, each of which is limited by itself. */
  readonly apart?: readonly string[];
}

interface Stream {
  /** Sends the newest that came within the interval. */
  later: (() => void) | undefined;
  timer: NodeJS.Timeout;
}

/** The streams of limited events that have sent one lately. */
export class EventThrottle {
  readonly #streams = new Map<string, Stream>();

  /**
   * Sends an event now, later, or, where a newer one comes first, never.
   *
   * @param key of the stream
   */
  send(key: string, intervalMs: number, send: () => void): void {
    const stream = this.#streams.get(key);
    if (stream !== undefined) {
      stream.later = send;
      return;
    }
    send();
    this.#begin(key, intervalMs);
  }

  #begin(key: string, intervalMs: number): void {
    // What has not been sent when the program ends is not missed.
    const timer = setTimeout(() => this.#over(key, intervalMs), intervalMs).unref();
    this.#streams.set(key, { later: undefined, timer });
  }

  #over(key: string, intervalMs: number): void {
    const later = this.#streams.get(key)?.later;
    this.#streams.delete(key);
    if (later === undefined) return;
    later();
    this.#begin(key, intervalMs);
  }
}
