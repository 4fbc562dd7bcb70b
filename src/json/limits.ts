// How much may one JSON value cost? QEMU's figures are the defaults.

/** Bounds on one value of a stream. Whatever exceeds one is answered with an error, and parsing starts afresh. */
export interface JsonLimits {
  /** Brackets and braces that may be open at a time. Default 1024. */
  readonly maxNesting: number;
  /** The lengths of a value's tokens, quotes included and white space not, add up to less than this. Default 64 MiB. */
  readonly maxTokenBytes: number;
  /** Tokens that a value may have. Default 2097152. */
  readonly maxTokens: number;
}

/** The limits of QEMU's monitor. */
export const DEFAULT_JSON_LIMITS: JsonLimits = {
  maxNesting: 1024,
  maxTokenBytes: 64 * 1024 * 1024,
  maxTokens: 2 * 1024 * 1024,
};
