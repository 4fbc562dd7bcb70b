// Which requests has a session read and not yet started, and which of them may overtake? QMP's out-of-band execution:
// qmp.md section 7.
import { isJsonObject, type JsonParseError, type JsonValue } from '../json/index.ts';

/** One message as read: a request that may still turn out malformed, or a JSON error, which is answered in turn too. */
export interface ReadMessage {
  readonly value: JsonValue | JsonParseError;
  /** Stream offset behind its last byte: fds that came later do not belong to it. */
  readonly end: number;
}

/** With out-of-band execution a monitor reads on while a command runs, until this many requests wait. */
export const OOB_QUEUE_LENGTH = 8;

/**
 * The requests of a session that wait. One read may bring more than the queue admits; those keep their place behind, and
 * an out-of-band request among them overtakes only once it is admitted, as if it had not been read before.
 */
export class RequestQueue {
  #waiting: ReadMessage[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  push(message: ReadMessage): void {
    this.#waiting.push(message);
  }

  /** Takes the next request in order. */
  shift(): ReadMessage | undefined {
    return this.#waiting.shift();
  }

  /** Takes an admitted request that is to run out of band. */
  takeOutOfBand(): ReadMessage | undefined {
    const admitted = this.#waiting.slice(0, OOB_QUEUE_LENGTH);
    const index = admitted.findIndex(({ value }) => isOutOfBand(value));
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  clear(): void {
    this.#waiting = [];
  }
}

/** A request with neither or both of `execute` and `exec-oob` takes its place in-band. */
function isOutOfBand(value: JsonValue | JsonParseError): boolean {
  return isJsonObject(value) && value.has('exec-oob') && !value.has('execute');
}
