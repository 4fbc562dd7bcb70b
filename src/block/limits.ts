// How long does the block layer wait, and for how many things at once? Each limit is a named option of BlockGraph.

/** What a file that does not answer may cost. */
export interface BlockLimits {
  /** Opening, reopening and locking a file gives up after this many milliseconds. Default 10,000. */
  readonly openTimeoutMs: number;
  /** Detaching a user waits this many milliseconds for its requests in flight. Default 5,000. */
  readonly drainTimeoutMs: number;
  /** Deleting a node waits this many milliseconds for close(2). Default 2,000. */
  readonly closeTimeoutMs: number;
  /** query-named-block-nodes waits this many milliseconds for the space that a file takes. Default 500. */
  readonly queryTimeoutMs: number;
  /** Requests of one node that are with the kernel at a time; the rest waits in the node. Default 16. */
  readonly requestsPerNode: number;
  /** Opens and requests on closed nodes that may hang before no further file is opened. Default 24. */
  readonly hungOperations: number;
}

export const defaultLimits: BlockLimits = {
  openTimeoutMs: 10_000,
  drainTimeoutMs: 5_000,
  closeTimeoutMs: 2_000,
  queryTimeoutMs: 500,
  requestsPerNode: 16,
  hungOperations: 24,
};
