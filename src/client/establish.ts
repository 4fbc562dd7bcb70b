// How does a connection become a session that takes commands? Connecting, the greeting and the negotiation, in time or
// not at all: a QMP socket serves one client at a time, and a second one waits in silence.
import { closedError, timeoutError } from './client-error.ts';
import { type Greeting, Session, type SessionOptions } from './session.ts';
import type { Connector } from './target.ts';
import { startTimer } from './timer.ts';

/** A session in command mode. */
export interface Established {
  readonly session: Session;
  readonly greeting: Greeting;
}

/**
 * Connects, awaits the greeting and negotiates, within `timeoutMs` milliseconds. Where this rejects, nothing is left of
 * the attempt.
 *
 * @throws FdsetError `ERR_FDSET_QMP_TIMEOUT` with who holds the monitor, `ERR_FDSET_QMP_PROTOCOL`,
 *   `ERR_FDSET_QMP_UNSUPPORTED`, `ERR_FDSET_QMP_CLOSED`
 * @throws SystemError the connection is refused; the signal's reason
 */
export async function establish(
  connector: Connector,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
  options: SessionOptions,
): Promise<Established> {
  const giveUp = new AbortController();
  let session: Session | undefined;
  let awaited = 'connection';
  const stop = (reason: unknown): void => {
    giveUp.abort(reason);
    session?.destroy(closedError('the attempt to connect was given up', reason));
  };
  const onAbort = (): void => stop(signal?.reason);
  const onTimeout = (): void => stop(timeoutError(`no ${awaited} within ${timeoutMs} ms${heldBy(connector)}`));
  const timer = startTimer(timeoutMs, onTimeout);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal?.aborted === true) onAbort();
    session = new Session(await connector.connect(giveUp.signal), options);
    if (giveUp.signal.aborted) stop(giveUp.signal.reason); // what was connected already does not look at the signal
    awaited = 'greeting';
    const greeting = await session.greeting();
    awaited = 'answer to qmp_capabilities';
    await session.negotiate(greeting);
    return { session, greeting };
  } catch (error) {
    const why: unknown = giveUp.signal.aborted ? giveUp.signal.reason : (session?.error ?? error);
    session?.destroy(closedError('the attempt to connect has failed', why));
    await session?.gone;
    throw why;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function heldBy(connector: Connector): string {
  const holders = connector.holders().map(({ pid, command }) => `${command} (process ${pid})`);
  return holders.length === 0 ? '' : `: the monitor is held by ${holders.join(', ')}`;
}
