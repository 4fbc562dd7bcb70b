// When is a lost connection tried again? After a pause that doubles from one failure to the next.
import { setTimeout as sleep } from 'node:timers/promises';

export interface ReconnectOptions {
  /** Milliseconds before the first attempt; each failure doubles them. Default: 100. */
  readonly delayMs?: number;
  /** The longest pause. Default: 5000. */
  readonly maxDelayMs?: number;
  /** Attempts after which the client is closed. Default: no limit. */
  readonly attempts?: number;
}

const DEFAULTS = { delayMs: 100, maxDelayMs: 5000, attempts: Number.POSITIVE_INFINITY };

/**
 * Calls `attempt` until it is fulfilled, and resolves to what it resolves to.
 *
 * @throws the error of the last attempt allowed; the signal's reason
 */
export async function reconnect<T>(
  attempt: () => Promise<T>,
  options: ReconnectOptions,
  signal: AbortSignal,
): Promise<T> {
  const { maxDelayMs, attempts, ...all } = { ...DEFAULTS, ...options };
  let { delayMs } = all;
  for (let tried = 1; ; tried++) {
    await sleep(delayMs, undefined, { signal });
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (tried >= attempts) throw error;
    }
    delayMs = Math.min(2 * delayMs, maxDelayMs);
  }
}
