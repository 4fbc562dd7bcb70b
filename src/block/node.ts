// What is a block node? An image, or a view of one, with a name, options, users above it and perhaps a node below it.
//
// A node maps: it says which bytes of which protocol node a request is about, and does no I/O. A protocol node (file,
// host_device, null-co) ends the mapping and does the I/O. So a format costs a mapping, whoever moves the bytes.
import type { JsonOutput } from '../json/index.ts';
import type { BlockDeviceInfo } from '../qapi/index.ts';
import type { BlockdevOptions, NodeOptions } from './options.ts';
import { combineClaims, type PermissionClaim } from './permissions.ts';
import type { RequestOwner } from './request-queue.ts';

/** A sector: every node's length is a multiple of it. */
export const sectorSize = 512;

/** The smallest length that a node with `bytes` bytes in it can have. */
export function roundUpToSector(bytes: number): number {
  return Math.ceil(bytes / sectorSize) * sectorSize;
}

/** The largest length of a node: every offset in it is an exact JavaScript number. */
export const maxLength = Number.MAX_SAFE_INTEGER - (Number.MAX_SAFE_INTEGER % sectorSize);

/** What a node asks of requests, in bytes. */
export interface IoLimits {
  /** Requests that are not aligned to this work too, but cost a read for every write. */
  readonly requestAlignment: number;
  /** Requests of this size and alignment are fast. */
  readonly optimalTransfer: number;
  /** The longest read or write. */
  readonly maxTransfer: number;
}

/** Where a range of a node really is. */
export type Extent =
  /** At `offset` of a protocol node. */
  | { readonly kind: 'protocol'; readonly node: ProtocolNode; readonly offset: number; readonly length: number }
  /** Behind the end of the node below: reads as zeros, cannot be written. */
  | { readonly kind: 'beyond'; readonly length: number };

/** A run of bytes of which the same is known, as base:allocation of NBD says it. */
export interface BlockStatusExtent {
  readonly length: number;
  /** No space is allocated. */
  readonly hole: boolean;
  /** Reads as zeros. */
  readonly zero: boolean;
}

/** The I/O of a protocol node. Every call rejects with SystemError; ranges lie within the node. */
export interface BlockIo {
  /** Fills `buffer`; what lies behind the end of the file is zeros. */
  read(offset: number, buffer: Uint8Array, owner?: RequestOwner): Promise<void>;
  write(offset: number, data: Uint8Array, options: { fua: boolean }, owner?: RequestOwner): Promise<void>;
  /** With `fast` it rejects with ENOTSUP rather than write zeros. */
  writeZeroes(
    offset: number,
    length: number,
    options: { fua: boolean; mayUnmap: boolean; fast: boolean },
    owner?: RequestOwner,
  ): Promise<void>;
  /** Advice: succeeds without doing anything where the file cannot. */
  discard(offset: number, length: number, options: { fua: boolean }, owner?: RequestOwner): Promise<void>;
  flush(owner?: RequestOwner): Promise<void>;
  /** At least one extent, from `offset` on, `length` bytes at most in all; neighbours differ. */
  blockStatus(offset: number, length: number, maxExtents: number, owner?: RequestOwner): Promise<BlockStatusExtent[]>;
  /** Takes back the requests of `owner` that have not begun. */
  abandon(owner: RequestOwner): void;
}

/** A user of a node. */
export interface Edge {
  readonly name: 'root' | 'file';
  /** Undefined for a user outside the graph, such as an export. */
  readonly parent: BlockNode | undefined;
  readonly child: BlockNode;
  claim: PermissionClaim;
}

/** Members of a JSON object; undefined ones are left out. */
export interface JsonMembers {
  readonly [name: string]: JsonOutput | undefined;
}

/** Members of query-named-block-nodes' `image` that only some drivers have. */
export type ImageFacts = Pick<BlockDeviceInfo['image'], 'dirty-flag' | 'format-specific'>;

/** What every node is made with. */
export interface NodeFacts {
  readonly nodeName: string;
  readonly driver: string;
  readonly options: NodeOptions;
  /** The options as they were given. */
  readonly given: BlockdevOptions;
}

/** A node of the graph. The graph makes and closes it. */
export abstract class BlockNode {
  readonly nodeName: string;
  readonly driver: string;
  /** Made by a command of its own, and so deleted by one; else it goes with its parent. */
  ownedByMonitor = false;
  /** The users, oldest first. */
  readonly parents: Edge[] = [];
  /** The edge to the node below, if there is one. */
  child: Edge | undefined;
  options: NodeOptions;
  /** The options as they were given; blockdev-reopen changes both. */
  given: BlockdevOptions;

  constructor(facts: NodeFacts) {
    this.nodeName = facts.nodeName;
    this.driver = facts.driver;
    this.options = facts.options;
    this.given = facts.given;
  }

  /** Bytes, a multiple of 512. */
  abstract get length(): number;

  abstract get limits(): IoLimits;

  /** The one file name that opens this node with its driver and nothing else, where there is one. */
  abstract get exactFilename(): string | undefined;

  /** The options that decide what data the node shows, for `json:` file names. */
  abstract describe(): JsonMembers;

  /**
   * Where the range at `offset` is: an extent for its first bytes, `length` bytes at most, at least one. Pure. The
   * range lies within the node.
   */
  abstract map(offset: number, length: number): Extent;

  /** Bytes of storage taken; undefined where nobody knows. May wait for the file system. */
  abstract actualSize(): Promise<number | undefined>;

  /** Members of query-named-block-nodes' `image` that only some drivers have. */
  abstract imageInfo(): ImageFacts;

  /**
   * Changes the length.
   * @throws FdsetError with QEMU's text.
   */
  abstract resize(length: number): Promise<void>;

  /**
   * What makes the driver's own options those of `options`, and returns what takes that back. Changes nothing yet.
   * @throws FdsetError with QEMU's text
   */
  planReopen(_options: BlockdevOptions): () => () => void {
    return () => () => undefined;
  }

  /** What this node needs of the node below when its own users claim `claim`. */
  claimOnChild(claim: PermissionClaim): PermissionClaim {
    return claim;
  }

  /** What all users claim together. */
  get claim(): PermissionClaim {
    return combineClaims(this.parents.map((edge) => edge.claim));
  }

  /** Do discards, and write-zeroes that may unmap, get through this node and those below? */
  get unmaps(): boolean {
    return this.options.discard === 'unmap' && (this.child?.child.unmaps ?? true);
  }

  /** Do this node or those below look for zeros in what is written? */
  get detectsZeroes(): 'off' | 'on' | 'unmap' {
    const below = this.child?.child.detectsZeroes ?? 'off';
    const own = this.options.detectZeroes;
    if (own === 'unmap' || below === 'unmap') return 'unmap';
    return own === 'on' || below === 'on' ? 'on' : 'off';
  }
}

/** A node that ends the mapping and does I/O. */
export abstract class ProtocolNode extends BlockNode {
  abstract readonly io: BlockIo;

  /**
   * Brings the file in line with what the users claim together: reopens it, takes and releases locks. Changes of one
   * node take turns.
   *
   * Where it fails, `undo` takes back the claim that cannot be met before anybody else's turn comes.
   * @param reopening a blockdev-reopen asks for it: then a file that cannot be opened for reading only any more is an
   *   error, and otherwise it stays open for writing
   * @throws FdsetError with QEMU's text. Losing permissions never fails.
   */
  abstract adapt(undo: () => void, reopening?: boolean): Promise<void>;

  /** Gives up what the node owns. Requests that are with the kernel keep the file open until they are back. */
  abstract close(): NodeClosing;
}

/** What is left to do when a node is closed. */
export interface NodeClosing {
  /** Resolves when the file is closed. */
  readonly closed: Promise<void>;
  /** Requests that the kernel still has. */
  readonly hung: number;
}
