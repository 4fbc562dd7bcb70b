// The driver `raw`: the bytes of the node below, all of them or a window.
import type { BlockDriver, OpenContext } from '../driver.ts';
import { FdsetError } from '../../errors.ts';
import {
  BlockNode,
  ProtocolNode,
  roundUpToSector,
  sectorSize,
  type Extent,
  type ImageFacts,
  type IoLimits,
  type JsonMembers,
} from '../node.ts';
import { optionError, sizeOption, type BlockdevOptions } from '../options.ts';
import { Permission, type PermissionClaim } from '../permissions.ts';
import type { BlockRules } from '../rules.ts';

/** The driver `raw`. Source: QEMU's qapi/block-core.json, `BlockdevOptionsRaw`. */
export const rawDriver: BlockDriver = {
  name: 'raw',
  hasFile: true,
  async open(context, options, file) {
    if (file === undefined) throw new Error('raw stands on a node');
    return new RawNode(context, file, readWindow(options, file.length, context.rules));
  },
};

/** What part of the node below is shown. */
interface Window {
  readonly offset: number;
  /** Undefined: to the end of the node below, wherever that is. */
  readonly size: number | undefined;
}

/** @throws FdsetError with QEMU's texts where the window does not lie in `containing` bytes. */
function readWindow(options: BlockdevOptions, containing: number, rules: BlockRules): Window {
  const offset = sizeOption('offset', options.offset ?? 0, rules);
  if (offset > containing) {
    throw optionError(`Offset (${offset}) cannot be greater than size of the containing file (${containing})`);
  }
  if (options.size === undefined) return { offset: Number(offset), size: undefined };
  const size = sizeOption('size', options.size, rules);
  if (size > containing - Number(offset)) {
    throw optionError(
      `The sum of offset (${offset}) and size (${size}) has to be smaller or equal to the ` +
        ` actual size of the containing file (${containing})`,
    );
  }
  if (Number(size) % sectorSize !== 0) throw optionError(`Specified size is not multiple of ${sectorSize}`);
  return { offset: Number(offset), size: Number(size) };
}

class RawNode extends BlockNode {
  readonly #below: BlockNode;
  readonly #rules: BlockRules;
  #window: Window;
  #length: number;

  constructor(context: OpenContext, below: BlockNode, window: Window) {
    super(context);
    this.#below = below;
    this.#window = window;
    this.#rules = context.rules;
    this.#length = this.#visible();
  }

  get length(): number {
    return this.#rules.rawFollows ? this.#visible() : this.#length;
  }

  #visible(): number {
    const visible = Math.max(0, this.#below.length - this.#window.offset);
    return roundUpToSector(Math.min(visible, this.#window.size ?? visible));
  }

  get limits(): IoLimits {
    return this.#below.limits;
  }

  get exactFilename(): string | undefined {
    const isPlain = this.given.offset === undefined && this.given.size === undefined;
    return !isPlain || !(this.#below instanceof ProtocolNode) ? undefined : this.#below.exactFilename;
  }

  describe(): JsonMembers {
    return { driver: this.driver, offset: this.given.offset, size: this.given.size, file: this.#below.describe() };
  }

  map(offset: number, length: number): Extent {
    const position = offset + this.#window.offset;
    const available = this.#below.length - position;
    if (available <= 0) return { kind: 'beyond', length };
    return this.#below.map(position, Math.min(length, available));
  }

  actualSize(): Promise<number | undefined> {
    return this.#below.actualSize();
  }

  imageInfo(): ImageFacts {
    const { 'dirty-flag': dirtyFlag } = this.#below.imageInfo();
    return dirtyFlag === undefined ? {} : { 'dirty-flag': dirtyFlag };
  }

  async resize(length: number): Promise<void> {
    if (this.#window.size !== undefined) {
      throw new FdsetError('ERR_FDSET_RESIZE', 'Cannot resize fixed-size raw disks');
    }
    await this.#below.resize(length + this.#window.offset);
    this.#length = this.#visible();
  }

  override planReopen(options: BlockdevOptions): () => () => void {
    const window = readWindow(options, this.#below.length, this.#rules);
    return () => {
      const before = [this.#window, this.#length] as const;
      this.#window = window;
      this.#length = this.#visible();
      return () => {
        [this.#window, this.#length] = before;
      };
    };
  }

  /** A window does not want the node below to become smaller than it is. */
  override claimOnChild(claim: PermissionClaim): PermissionClaim {
    const isWindow = this.#window.offset !== 0 || this.#window.size !== undefined;
    return isWindow ? { ...claim, shared: claim.shared & ~Permission.resize } : claim;
  }
}
