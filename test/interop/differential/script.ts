// What is a script? Plain data that a generator makes and shrinks: what a few clients of one server say, in order, with
// which files. Nothing in it depends on a server's answers but `Ref`, which stands for a number that the server gave.

/** Bytes, one per character (Latin-1), as everywhere in scripts. */
export type Bytes = string;

/** The number of an fd that an earlier `add-fd` has made, or the id of the set that it went to. */
export interface Ref {
  readonly ref: 'fd' | 'set';
}

/** Text of a request; the refs in it all mean the same add-fd. */
export type Part = Bytes | Ref;

interface WithFds {
  /** Indices into the files that can be passed (files.ts): the fds of one message. */
  readonly fds: readonly number[];
  /** With which of the item's bytes they are sent, in thousandths of its length. */
  readonly fdsAt: number;
}

/** A request, well-formed JSON of an object at least. */
export interface RequestItem extends WithFds {
  readonly kind: 'request';
  /** What the histogram counts it as. */
  readonly name: string;
  /** The object's members without braces and without `id`. */
  readonly body: readonly Part[];
  /** Which add-fd the refs mean, counted from the newest whose fd should still be there. */
  readonly which: number;
  /** JSON text. */
  readonly id?: Bytes | undefined;
  /** Whether it asks to overtake: `exec-oob`. */
  readonly oob?: boolean;
  /** JSON text of the name that it stores an fd under: to be cleaned up. */
  readonly stores?: Bytes | undefined;
}

/** Bytes that are not a request: broken JSON, other JSON. */
export interface JunkItem extends WithFds {
  readonly kind: 'junk';
  readonly bytes: Bytes;
}

export type Item = RequestItem | JunkItem;

/** How a client that has to connect begins. */
export type Hello = 'negotiate' | 'negotiate-oob' | 'nothing';

/** What is sent to one monitor without waiting; the next step waits for its answers. */
export interface Burst {
  readonly do: 'send';
  readonly monitor: number;
  /** For a client that is not connected yet. */
  readonly hello: Hello;
  readonly items: readonly Item[];
  /** Where the bytes are cut into writes, in thousandths of their length. */
  readonly cuts: readonly number[];
  /** Whether the server is given time to read between the writes. */
  readonly slowly: boolean;
}

/** The client of a monitor leaves. */
export interface Leave {
  readonly do: 'leave';
  readonly monitor: number;
  /** Bytes that it still sends, at most the beginning of a request, and the files with them. */
  readonly lastBytes: Bytes;
  readonly fds: readonly number[];
  /** Whether it waits for the server to close as well. */
  readonly politely: boolean;
  /** Another client is connected already, has sent this, and waits until it is served. */
  readonly next: Burst | undefined;
}

export type Step = Burst | Leave;
export type Script = readonly Step[];

/** The names of the block nodes that scripts make: to be cleaned up. */
export const NODES = ['n0', 'n1', 'n2'] as const;

/** Monitors that each server has. */
export const MONITORS = 3;
/** The one that prints over several lines. */
export const PRETTY = 2;
