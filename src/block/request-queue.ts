// How many requests of one node are with the kernel? At most a fixed number; the rest wait here in order, so that a file
// that does not answer holds that many threads of the io pool and no more.
import { constants } from 'node:os';

import { SystemError } from '../addon/index.ts';

/** A user's way to take its waiting requests back. */
export interface RequestOwner {
  readonly abandoned: boolean;
}

interface Waiting {
  readonly owner: RequestOwner | undefined;
  start(): void;
  refuse(error: SystemError): void;
}

/** Runs requests, `limit` at a time, first come first served. */
export class RequestQueue {
  readonly #limit: number;
  #waiting: Waiting[] = [];
  #idle: (() => void)[] = [];
  #inFlight = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Requests that have begun and not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that have not begun. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `request` once there is room for it.
   * @throws SystemError ECANCELED where {@link RequestQueue.abandon} took it back before it began.
   */
  run<T>(request: () => Promise<T>, owner?: RequestOwner): Promise<T> {
    if (owner?.abandoned === true) return Promise.reject(abandonedError());
    if (this.#inFlight < this.#limit) return this.#start(request);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ owner, start: () => void this.#start(request).then(resolve, reject), refuse: reject });
    });
  }

  /** Rejects the waiting requests of `owner`, or of everybody. Those in flight are with the kernel and end there. */
  abandon(owner?: RequestOwner): void {
    const isTaken = (request: Waiting): boolean => owner === undefined || request.owner === owner;
    const taken = this.#waiting.filter(isTaken);
    this.#waiting = this.#waiting.filter((request) => !isTaken(request));
    for (const request of taken) request.refuse(abandonedError());
    this.#tellIdle();
  }

  /** Resolves once nothing is in flight or waiting. */
  drain(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #start<T>(request: () => Promise<T>): Promise<T> {
    this.#inFlight++;
    try {
      return await request();
    } finally {
      this.#inFlight--;
      this.#waiting.shift()?.start();
      this.#tellIdle();
    }
  }

  #isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0;
  }

  #tellIdle(): void {
    if (!this.#isIdle()) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

function abandonedError(): SystemError {
  return new SystemError(constants.errno.ECANCELED, 'block request');
}
