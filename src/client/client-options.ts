// What may a client be told, and what does it tell of itself?
import type { FdsetError } from '../errors.ts';
import type { JsonLimits } from '../json/index.ts';
import type { ReconnectOptions } from './reconnect.ts';
import type { QmpObserver } from './session.ts';

export interface QmpClientOptions {
  /** Milliseconds for connecting, greeting and negotiation together. Default: 5000. */
  readonly timeoutMs?: number;
  /** Gives up connecting. Once there is a client it has no effect. */
  readonly signal?: AbortSignal;
  /** Enables out-of-band execution. Commands with fds then wait for each other, as QEMU confuses their fds otherwise. */
  readonly oob?: boolean;
  /** Every integer in results and events as a bigint. Default: only those that a number cannot hold exactly. */
  readonly bigint?: boolean;
  /**
   * Whether each call takes down its whole stack, for the error it may end with. That is half of the time of a call at
   * full rate. Default: false, then an error's stack names the async functions that await the call, and costs nothing.
   */
  readonly callSites?: boolean;
  /**
   * `always`: every command has an id of its own. Default: `short`, where each other command has none, which saves a tenth
   * of the time of a command of QEMU, and replies have to come in order, as QMP says. Out-of-band execution and an
   * observer imply `always`.
   */
  readonly ids?: 'always' | 'short';
  /** Connects anew when the connection is lost; `true` for the defaults. Only for targets that can be connected to. */
  readonly reconnect?: boolean | ReconnectOptions;
  /** Sees every message of both directions. */
  readonly observer?: QmpObserver;
  /** How large a message of the server may be; see {@link DEFAULT_CLIENT_LIMITS}. */
  readonly limits?: Partial<JsonLimits>;
}

/** What a client takes from a server: replies may be larger than the commands that QEMU takes. */
export const DEFAULT_CLIENT_LIMITS: JsonLimits = {
  maxNesting: 1024,
  maxTokenBytes: 128 * 1024 * 1024,
  maxTokens: 8 * 1024 * 1024,
};

export type QmpClientState = 'ready' | 'reconnecting' | 'closing' | 'closed';

/** Told of each change; `cause` is why the connection is gone, undefined where close() was called. */
export type StateListener = (state: QmpClientState, cause: FdsetError | undefined) => void;

/** A wait that can be given up. */
export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until `ERR_FDSET_QMP_TIMEOUT`. Default: no limit. */
  readonly timeoutMs?: number;
}
