// What do the options that every driver has mean for a node? Defaults, what an inline child inherits, and QEMU's checks.
import { FdsetError } from '../errors.ts';
import type { Int64 } from '../qapi/index.ts';
import type { BlockRules } from './rules.ts';

/**
 * The argument of blockdev-add, as the schema of `block-core` types it, with the members that this block layer reads.
 * Source: QEMU's qapi/block-core.json, `BlockdevOptions`.
 */
export interface BlockdevOptions {
  readonly driver: string;
  readonly 'node-name'?: string | undefined;
  readonly discard?: 'ignore' | 'unmap' | undefined;
  readonly cache?: { readonly direct?: boolean | undefined; readonly 'no-flush'?: boolean | undefined } | undefined;
  readonly active?: boolean | undefined;
  readonly 'read-only'?: boolean | undefined;
  readonly 'auto-read-only'?: boolean | undefined;
  readonly 'force-share'?: boolean | undefined;
  readonly 'detect-zeroes'?: 'off' | 'on' | 'unmap' | undefined;
  /** file, host_device */
  readonly filename?: string | undefined;
  readonly locking?: 'auto' | 'on' | 'off' | undefined;
  readonly aio?: 'threads' | 'native' | 'io_uring' | undefined;
  readonly 'pr-manager'?: string | undefined;
  /** raw: a node by name, or one made with this one. */
  readonly file?: string | BlockdevOptions | undefined;
  readonly offset?: Int64 | undefined;
  /** raw, null-co */
  readonly size?: Int64 | undefined;
  readonly 'latency-ns'?: Int64 | undefined;
  readonly 'read-zeroes'?: boolean | undefined;
}

/** The options that every node has, with their defaults filled in. */
export interface NodeOptions {
  /** Nothing ever writes through this node. */
  readonly readOnly: boolean;
  /** The file is open for writing only while there is a writer. */
  readonly autoReadOnly: boolean;
  /** O_DIRECT. */
  readonly direct: boolean;
  /** Flushes do nothing. */
  readonly noFlush: boolean;
  /** Lets every other user have every permission. */
  readonly forceShare: boolean;
  /** Whether discard requests reach the file. */
  readonly discard: 'ignore' | 'unmap';
  /** Whether writes of zeros become write-zeroes requests, and those may unmap. */
  readonly detectZeroes: 'off' | 'on' | 'unmap';
}

const rootDefaults: NodeOptions = {
  readOnly: false,
  autoReadOnly: false,
  direct: false,
  noFlush: false,
  forceShare: false,
  discard: 'ignore',
  detectZeroes: 'off',
};

/** The node options in `options`. What is not given an inline child has from its parent, in most cases. */
export function nodeOptions(options: BlockdevOptions, parent?: NodeOptions): NodeOptions {
  const defaults = parent === undefined ? rootDefaults : inherited(parent);
  const { cache = {} } = options;
  return {
    readOnly: options['read-only'] ?? defaults.readOnly,
    autoReadOnly: options['auto-read-only'] ?? defaults.autoReadOnly,
    direct: cache.direct ?? defaults.direct,
    noFlush: cache['no-flush'] ?? defaults.noFlush,
    forceShare: options['force-share'] ?? defaults.forceShare,
    discard: options.discard ?? defaults.discard,
    detectZeroes: options['detect-zeroes'] ?? defaults.detectZeroes,
  };
}

/** A parent decides itself what it passes on, so the file below it may as well let every discard through. */
function inherited(parent: NodeOptions): NodeOptions {
  return { ...parent, discard: 'unmap', detectZeroes: 'off' };
}

/** @throws FdsetError with QEMU's text where the options of a new node exclude each other or are not built. */
export function checkNewNode(options: BlockdevOptions, resolved: NodeOptions): void {
  if (resolved.forceShare && !resolved.readOnly) {
    throw optionError('force-share=on can only be used with read-only images');
  }
  checkNodeOptions(options, resolved);
}

/** The checks that a reopened node has to pass, too. */
export function checkNodeOptions(options: BlockdevOptions, resolved: NodeOptions): void {
  if (resolved.detectZeroes === 'unmap' && resolved.discard !== 'unmap') {
    throw optionError('setting detect-zeroes to unmap is not allowed without setting discard operation to unmap');
  }
  if (options.active === false) throw optionError('Inactive block nodes are not supported');
}

/** Whether `cache` is given without members: QEMU takes that for an option that no driver knows. */
export function hasEmptyCache({ cache }: BlockdevOptions): boolean {
  return cache !== undefined && Object.keys(cache).length === 0;
}

/** An error about the options of blockdev-add. */
export function optionError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_BLOCKDEV', message);
}

/**
 * A size or offset in bytes as a plain number. Sizes beyond 2^53-1 come back as bigints, for the caller to refuse.
 * @throws FdsetError with QEMU's text where it is negative.
 */
export function sizeOption(name: string, value: Int64, rules: BlockRules): Int64 {
  if (value >= 0) return value;
  throw optionError(rules.negativeSize(name, value));
}
