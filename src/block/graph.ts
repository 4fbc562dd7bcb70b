// Which nodes are there, and who uses them? Nodes by name, added and deleted by commands, attached to by exports.
//
// A change of users works the same everywhere: the edge is made, claims are worked out downwards and checked against
// each other (permissions.ts, all in memory), then the protocol nodes below adapt their files; where one cannot, the edge
// is taken back. Only that last step waits for a file, and never longer than limits.ts says.
import { FdsetError } from '../errors.ts';
import type { BlockDeviceInfo, Int64 } from '../qapi/index.ts';
import { BlockBackend } from './backend.ts';
import { drivers } from './drivers/index.ts';
import type { BlockDriver, OpenContext } from './driver.ts';
import { defaultLimits, type BlockLimits } from './limits.ts';
import { describeNode } from './node-info.ts';
import { checkNodeName, NodeNames } from './node-name.ts';
import { maxLength, ProtocolNode, type BlockNode, type Edge } from './node.ts';
import { fileHolder, type OpenFile } from './open-file.ts';
import {
  checkNewNode,
  hasEmptyCache,
  nodeOptions,
  optionError,
  type BlockdevOptions,
  type NodeOptions,
} from './options.ts';
import { Patience } from './patience.ts';
import { applyChanges, planReopen } from './reopen.ts';
import { BLOCK_RULES_10_0, type BlockRules } from './rules.ts';
import { allPermissions, checkConflicts, Permission, type PermissionClaim } from './permissions.ts';

export interface BlockGraphOptions {
  /** Opens the files of nodes; {@link fileOpener} makes the usual one. */
  readonly openFile: OpenFile;
  readonly limits?: Partial<BlockLimits>;
  /** Default: those of QEMU 10.0. */
  readonly rules?: BlockRules;
}

export interface AttachOptions {
  /** Whether the user writes. */
  readonly writable: boolean;
  /** How error texts name the user. Default `an unnamed block device`, as QEMU names an export. */
  readonly user?: string;
  /** Permissions that the user lets others have, bits of {@link Permission}. Default all but resize, as an export. */
  readonly shared?: number;
}

/** What commands need to know of a node before they attach to it. */
export interface FoundNode {
  readonly nodeName: string;
  readonly readOnly: boolean;
}

const unnamedUser = 'an unnamed block device';
/** The longest image of QEMU: a multiple of 2^30 below 2^63. */
const longestOfQemu = 9223372035781033984n;

/** The block nodes of one process. Methods named after QMP commands throw errors with QEMU's texts. */
export class BlockGraph {
  readonly #openFile: OpenFile;
  readonly #limits: BlockLimits;
  readonly #patience: Patience;
  readonly #rules: BlockRules;
  readonly #names = new NodeNames();
  /** Oldest first. */
  readonly #nodes = new Map<string, BlockNode>();
  /** Names of nodes that are being opened. */
  readonly #opening = new Set<string>();
  /** How many nodes that are being opened stand on a node. */
  readonly #expected = new Map<BlockNode, number>();
  readonly #users = new Map<Edge, string>();

  constructor(options: BlockGraphOptions) {
    this.#openFile = options.openFile;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#rules = options.rules ?? BLOCK_RULES_10_0;
    this.#patience = new Patience(this.#limits.hungOperations);
  }

  /**
   * Adds a node, and with it the children that are given inline.
   * @throws FdsetError with QEMU's text; nothing is left of what failed.
   */
  async blockdevAdd(options: BlockdevOptions): Promise<void> {
    if (options['node-name'] === undefined) throw optionError("'node-name' must be specified for the root node");
    const node = await this.#open(options, undefined);
    node.ownedByMonitor = true;
  }

  /**
   * Deletes a node, and with it the children that were given inline.
   * @throws FdsetError with QEMU's text
   */
  async blockdevDel(nodeName: string): Promise<void> {
    const node = this.#nodes.get(nodeName);
    if (node === undefined) throw inUse(`Failed to find node with node-name='${nodeName}'`);
    if (node.parents.some((edge) => edge.parent === undefined)) throw inUse(`Node ${nodeName} is in use`);
    if (!node.ownedByMonitor) throw inUse(`Node ${nodeName} is not owned by the monitor`);
    if (this.#isUsed(node)) throw inUse(`Block device ${nodeName} is in use`);
    await this.#remove(node);
  }

  /**
   * Gives nodes new options, all of them or none; what is left out returns to its default. Inline children follow.
   * @throws FdsetError with QEMU's text
   */
  async blockdevReopen(list: readonly BlockdevOptions[]): Promise<void> {
    const changes = planReopen(list, this.#nodes);
    const nodes = changes.map(({ node }) => node);
    const undo = applyChanges(changes);
    try {
      for (const node of nodes) this.#passDown(node);
      for (const node of nodes) this.#check(node);
      for (const protocol of nodes.flatMap(protocolsOf)) await protocol.adapt(undo, true);
    } catch (error) {
      undo();
      for (const node of nodes) this.#passDown(node);
      for (const node of nodes) await this.#settle(node);
      throw error;
    }
  }

  /** All nodes, newest first. `flat` is about backing chains, which no driver here has. */
  async queryNamedBlockNodes(): Promise<BlockDeviceInfo[]> {
    return Promise.all([...this.#nodes.values()].reverse().map((node) => describeNode(node, this.#rules)));
  }

  /**
   * Changes the size of a node, in bytes.
   * @throws FdsetError with QEMU's text
   */
  async blockResize(device: string | undefined, nodeName: string | undefined, size: Int64): Promise<void> {
    const node = this.#lookup(device, nodeName ?? '');
    if (size < 0) throw resizeError("Parameter 'size' expects a >0 size");
    const edge = this.#makeEdge(node, { permissions: Permission.resize, shared: allPermissions }, unnamedUser);
    await this.#claim(edge);
    try {
      if (size > longestOfQemu) throw resizeError(`offset(${size}) exceeds maximum(${longestOfQemu})`);
      if (isReadOnly(node)) throw resizeError('Image is read-only');
      if (size > maxLength) throw resizeError('Could not resize file: File too large');
      await node.resize(Number(size));
    } finally {
      await this.#release(edge);
    }
  }

  /**
   * The node that a command names by `device` or `node-name`. There are no devices here; without a node name the device's
   * is one, as where a command takes either.
   * @throws FdsetError `Cannot find device='' nor node-name='X'`
   */
  find(device: string | undefined, nodeName: string | undefined): FoundNode {
    const node = this.#lookup(device, nodeName);
    return { nodeName: node.nodeName, readOnly: node.options.readOnly };
  }

  /** By what names those hold their files that a node stands on; none where there is no such node. */
  fileHolders(nodeName: string): string[] {
    const node = this.#nodes.get(nodeName);
    return node === undefined ? [] : protocolsOf(node).map((protocol) => fileHolder(protocol.nodeName));
  }

  /**
   * Attaches a user to a node: takes permissions and image locks, reopens files where a writer needs it. The caller
   * detaches the backend.
   * @throws FdsetError with QEMU's text
   */
  async attach(nodeName: string, options: AttachOptions): Promise<BlockBackend> {
    const node = this.#lookup(undefined, nodeName);
    const claim = {
      permissions: Permission.consistentRead | (options.writable ? Permission.write : 0),
      shared: options.shared ?? allPermissions & ~Permission.resize,
    };
    const edge = this.#makeEdge(node, claim, options.user ?? unnamedUser);
    await this.#claim(edge);
    return new BlockBackend(node, !options.writable, {
      drainTimeoutMs: this.#limits.drainTimeoutMs,
      detached: () => this.#release(edge),
    });
  }

  /** Deletes all nodes, whoever uses them; for the end of the process. Never throws. */
  async close(): Promise<void> {
    const nodes = [...this.#nodes.values()].reverse();
    this.#nodes.clear();
    const closings = nodes.filter((node) => node instanceof ProtocolNode).map((node) => node.close().closed);
    await this.#patience.waitAtMost(Promise.all(closings), this.#limits.closeTimeoutMs);
  }

  #lookup(device: string | undefined, nodeName: string | undefined): BlockNode {
    const node = this.#nodes.get(nodeName ?? device ?? '');
    if (node !== undefined) return node;
    throw optionError(`Cannot find device='${device ?? ''}' nor node-name='${nodeName ?? ''}'`);
  }

  /** Opens a node with what it stands on, in QEMU's order of checks, and adds it to the graph. */
  async #open(options: BlockdevOptions, parent: NodeOptions | undefined): Promise<BlockNode> {
    const driver = drivers.get(options.driver);
    if (driver === undefined) throw optionError(`Unknown driver '${options.driver}'`);
    const resolved = nodeOptions(options, parent);
    const file = driver.hasFile ? await this.#openChild(options.file, resolved) : undefined;
    try {
      checkNewNode(options, resolved);
      driver.checkOptions?.(options);
      return await this.#openDriver(driver, options, resolved, file);
    } finally {
      if (file !== undefined) await this.#dropExpectation(file);
    }
  }

  async #openChild(child: string | BlockdevOptions | undefined, parent: NodeOptions): Promise<BlockNode> {
    if (child === undefined) throw optionError('A block device must be specified for "file"');
    const node =
      typeof child === 'string' ? (this.#nodes.get(child) ?? missingChild(child)) : await this.#open(child, parent);
    this.#expected.set(node, (this.#expected.get(node) ?? 0) + 1);
    return node;
  }

  async #openDriver(
    driver: BlockDriver,
    options: BlockdevOptions,
    resolved: NodeOptions,
    file: BlockNode | undefined,
  ): Promise<BlockNode> {
    const nodeName = this.#nameFor(options['node-name']);
    this.#opening.add(nodeName);
    try {
      const context: OpenContext = {
        nodeName,
        driver: driver.name,
        options: resolved,
        given: { ...options, 'node-name': nodeName },
        openFile: this.#openFile,
        limits: this.#limits,
        patience: this.#patience,
        rules: this.#rules,
      };
      const node = await driver.open(context, options, file);
      if (file !== undefined) await this.#putOn(node, file);
      this.#nodes.set(nodeName, node);
      if (hasEmptyCache(options)) {
        await this.#remove(node);
        throw unknownOption(driver, 'cache');
      }
      return node;
    } finally {
      this.#opening.delete(nodeName);
    }
  }

  #nameFor(given: string | undefined): string {
    const isTaken = (name: string): boolean => this.#nodes.has(name) || this.#opening.has(name);
    if (given !== undefined) {
      checkNodeName(given, isTaken);
      return given;
    }
    let name = this.#names.next();
    while (isTaken(name)) name = this.#names.next();
    return name;
  }

  async #putOn(node: BlockNode, file: BlockNode): Promise<void> {
    const edge: Edge = { name: 'file', parent: node, child: file, claim: this.#claimOnChild(node, file) };
    node.child = edge;
    await this.#claim(edge);
  }

  /** A node that was opened for its parent only goes where the parent could not be opened. */
  async #dropExpectation(node: BlockNode): Promise<void> {
    const left = (this.#expected.get(node) ?? 1) - 1;
    if (left > 0) this.#expected.set(node, left);
    else this.#expected.delete(node);
    await this.#removeIfOrphan(node);
  }

  #makeEdge(child: BlockNode, claim: PermissionClaim, user: string): Edge {
    const edge: Edge = { name: 'root', parent: undefined, child, claim };
    this.#users.set(edge, user);
    return edge;
  }

  /**
   * Makes a user known to its node and everything below.
   * @throws FdsetError with QEMU's text: permission conflicts, read-only nodes, image locks, files that cannot be
   * reopened. The user is not known then.
   */
  async #claim(edge: Edge): Promise<void> {
    const undo = (): void => this.#takeBack(edge);
    edge.child.parents.push(edge);
    try {
      this.#passDown(edge.child);
      this.#check(edge.child);
      for (const protocol of protocolsOf(edge.child)) await protocol.adapt(undo);
    } catch (error) {
      undo();
      // What has adapted already, or still will when its file answers, follows what is left of the claims.
      await this.#settle(edge.child);
      throw error;
    }
  }

  /** Takes a user off its node, lets files and locks follow, and removes what nobody needs any more. Never throws. */
  async #release(edge: Edge): Promise<void> {
    this.#takeBack(edge);
    await this.#settle(edge.child);
    await this.#removeIfOrphan(edge.child);
  }

  /** Lets files and locks follow claims that have become less. Those that do not answer follow later. */
  async #settle(node: BlockNode): Promise<void> {
    for (const protocol of protocolsOf(node)) {
      await this.#patience.waitAtMost(
        protocol.adapt(() => undefined),
        this.#limits.closeTimeoutMs,
      );
    }
  }

  #takeBack(edge: Edge): void {
    const index = edge.child.parents.indexOf(edge);
    if (index < 0) return;
    edge.child.parents.splice(index, 1);
    this.#users.delete(edge);
    this.#passDown(edge.child);
  }

  /** Works out what the nodes below claim now that the users of `node` have changed. */
  #passDown(node: BlockNode): void {
    if (node.child === undefined) return;
    node.child.claim = this.#claimOnChild(node, node.child.child);
    this.#passDown(node.child.child);
  }

  #claimOnChild(node: BlockNode, child: BlockNode): PermissionClaim {
    const claim = node.claimOnChild(node.claim);
    return child.options.forceShare ? { ...claim, shared: allPermissions } : claim;
  }

  #check(node: BlockNode): void {
    // The newest user first: of several conflicts the first is reported.
    const claims = node.parents.toReversed().map((edge) => ({
      ...edge.claim,
      edge: edge.name,
      user: edge.parent === undefined ? (this.#users.get(edge) ?? unnamedUser) : `node '${edge.parent.nodeName}'`,
    }));
    checkConflicts(node.nodeName, claims);
    const writes = (node.claim.permissions & (Permission.write | Permission.writeUnchanged)) !== 0;
    if (writes && node.options.readOnly) throw optionError('Block node is read-only');
    if (node.child !== undefined) this.#check(node.child.child);
  }

  #isUsed(node: BlockNode): boolean {
    return node.parents.length > 0 || this.#expected.has(node);
  }

  async #removeIfOrphan(node: BlockNode): Promise<void> {
    const isKnown = this.#nodes.get(node.nodeName) === node;
    if (isKnown && !node.ownedByMonitor && !this.#isUsed(node)) await this.#remove(node);
  }

  async #remove(node: BlockNode): Promise<void> {
    this.#nodes.delete(node.nodeName);
    if (node.child !== undefined) await this.#release(node.child);
    if (!(node instanceof ProtocolNode)) return;
    await this.#patience.waitAtMost(node.close().closed, this.#limits.closeTimeoutMs);
  }
}

function missingChild(name: string): never {
  throw optionError(`Cannot find device='${name}' nor node-name='${name}'`);
}

function unknownOption({ name, hasFile }: BlockDriver, option: string): FdsetError {
  const who = hasFile ? `Block format '${name}' does not` : `Block protocol '${name}' doesn't`;
  return optionError(`${who} support the option '${option}'`);
}

/** Whether nothing can change the data: the node is read-only, or one that it stands on. */
function isReadOnly(node: BlockNode): boolean {
  return node.options.readOnly || (node.child !== undefined && isReadOnly(node.child.child));
}

function protocolsOf(node: BlockNode): ProtocolNode[] {
  if (node instanceof ProtocolNode) return [node];
  return node.child === undefined ? [] : protocolsOf(node.child.child);
}

function inUse(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_BLOCKDEV', message);
}

function resizeError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_RESIZE', message);
}
