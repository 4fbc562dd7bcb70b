// What do versions of QEMU do differently with block nodes?

export interface BlockRules {
  /** Whether queries say of a node that it is active. */
  readonly showsActive: boolean;
  /** Whether queries show `format-specific` of nodes on files and devices, which is empty. */
  readonly showsFileSpecific: boolean;
  /** Whether a `raw` node grows and shrinks with the node below, or keeps its length until it is resized itself. */
  readonly rawFollows: boolean;
  /** What to say of a size that is negative. */
  negativeSize(name: string, value: number | bigint): string;
}

export const BLOCK_RULES_10_0: BlockRules = {
  showsActive: true,
  showsFileSpecific: true,
  rawFollows: false,
  negativeSize: (name, value) => `Value '${value}' is out of range for parameter '${name}'`,
};

export const BLOCK_RULES_7_2: BlockRules = {
  showsActive: false,
  showsFileSpecific: false,
  rawFollows: true,
  negativeSize: (name) => `Parameter '${name}' expects a non-negative number below 2^64`,
};
