// What is a driver? A name, what it takes, and how it opens a node.
import type { BlockNode, NodeFacts } from './node.ts';
import type { BlockLimits } from './limits.ts';
import type { OpenFile } from './open-file.ts';
import type { BlockdevOptions } from './options.ts';
import type { Patience } from './patience.ts';
import type { BlockRules } from './rules.ts';

/** What a node is opened with, beside its options. */
export interface OpenContext extends NodeFacts {
  readonly openFile: OpenFile;
  readonly limits: BlockLimits;
  readonly patience: Patience;
  readonly rules: BlockRules;
}

/** A block driver; drivers/index.ts lists them. */
export interface BlockDriver {
  /** As in `BlockdevDriver`. */
  readonly name: string;
  /** Whether it stands on a node below, its `file`. */
  readonly hasFile: boolean;
  /** @throws FdsetError for options that are refused before the node's name is looked at. */
  checkOptions?(options: BlockdevOptions): void;
  /**
   * Opens a node. `file` is the node below, where the driver has one. The caller closes the node.
   * @throws FdsetError with QEMU's text; nothing stays open.
   */
  open(context: OpenContext, options: BlockdevOptions, file: BlockNode | undefined): Promise<BlockNode>;
}
