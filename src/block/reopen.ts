// What does blockdev-reopen change? Complete sets of options come in, changes of nodes come out, checked but not made.
//
// Options of every node, and the window of `raw`, can change; all others must be what they were. An inline child takes
// over what it inherits from its parent. Source: fdset.md §8 and the transcripts `reopen` and `blockdev`.
import { inQemuOrder } from '../json/index.ts';
import type { BlockNode } from './node.ts';
import {
  checkNodeOptions,
  hasEmptyCache,
  nodeOptions,
  optionError,
  type BlockdevOptions,
  type NodeOptions,
} from './options.ts';
import { Permission } from './permissions.ts';

/** A node and what it is to become. */
export interface NodeChange {
  readonly node: BlockNode;
  readonly given: BlockdevOptions;
  readonly options: NodeOptions;
  /** Changes the driver's own options, and returns what takes that back. */
  readonly apply: () => () => void;
}

/** Options that may be left out in a reopen although they were given before, and changed. */
const changeable = new Set([
  'node-name',
  'cache',
  'read-only',
  'auto-read-only',
  'discard',
  'detect-zeroes',
  'offset',
  'file',
  'aio-max-batch',
  'drop-cache',
  'x-check-cache-dropped',
]);

/**
 * The changes that blockdev-reopen asks for, parents before their children.
 * @throws FdsetError with QEMU's text
 */
export function planReopen(
  list: readonly BlockdevOptions[],
  nodes: ReadonlyMap<string, BlockNode>,
): readonly NodeChange[] {
  const queue = new Map<BlockNode, BlockdevOptions>();
  for (const options of list) {
    const node = findNode(options, nodes);
    queue.set(node, joined(queue.get(node), options));
  }
  return [...queue].flatMap(([node, options]) => planNode(node, options, inlineParent(node)?.options, nodes));
}

/** A node that is listed again keeps what it was given before where it is not given anew. */
function joined(before: BlockdevOptions | undefined, options: BlockdevOptions): BlockdevOptions {
  if (before === undefined) return options;
  const all = { ...before, ...options };
  return all.cache === undefined ? all : { ...all, cache: { ...before.cache, ...options.cache } };
}

/** Makes the changes, and returns what takes them back, once. */
export function applyChanges(changes: readonly NodeChange[]): () => void {
  const undoing = changes.map(applyChange);
  // Backwards: a node that is listed twice ends as it was before the first change.
  return () => {
    for (const undo of undoing.splice(0).reverse()) undo();
  };
}

function applyChange({ node, given, options, apply }: NodeChange): () => void {
  const before = { given: node.given, options: node.options };
  const undo = apply();
  Object.assign(node, { given, options });
  return () => {
    undo();
    Object.assign(node, before);
  };
}

function findNode(options: BlockdevOptions, nodes: ReadonlyMap<string, BlockNode>): BlockNode {
  const name = options['node-name'];
  if (name === undefined) throw optionError('node-name not specified');
  const node = nodes.get(name);
  if (node === undefined) throw optionError(`Failed to find node with node-name='${name}'`);
  return node;
}

/** The node that an inline child was made with, and inherits from. */
function inlineParent(node: BlockNode): BlockNode | undefined {
  return node.ownedByMonitor ? undefined : node.parents.find((edge) => edge.parent !== undefined)?.parent;
}

function planNode(
  node: BlockNode,
  given: BlockdevOptions,
  parent: NodeOptions | undefined,
  nodes: ReadonlyMap<string, BlockNode>,
): NodeChange[] {
  checkLeftOut(node, given);
  const options = nodeOptions(given, parent);
  checkNodeOptions(given, options);
  const child = planChild(node, given, options, nodes);
  const isWritten = (node.claim.permissions & (Permission.write | Permission.writeUnchanged)) !== 0;
  if (isWritten && options.readOnly) {
    throw optionError(`Read-only block node '${node.nodeName}' cannot support read-write users`);
  }
  const apply = given.driver === node.driver ? node.planReopen(given) : () => () => undefined;
  checkUnchanged(node, given);
  return [{ node, given, options, apply }, ...child];
}

/** The node below stays; one that was made inline follows its parent. */
function planChild(
  node: BlockNode,
  given: BlockdevOptions,
  options: NodeOptions,
  nodes: ReadonlyMap<string, BlockNode>,
): NodeChange[] {
  if (given.file === undefined) return [];
  const child = node.child?.child;
  if (typeof given.file === 'string') {
    const named = nodes.get(given.file);
    if (named === undefined) throw optionError(`Cannot find device='' nor node-name='${given.file}'`);
    if (standsOn(named, node)) {
      throw optionError(`Making '${given.file}' a file child of '${node.nodeName}' would create a cycle`);
    }
  }
  if (child === undefined) throw optionError('Cannot set file child to format node without file child');
  if (typeof given.file === 'string') {
    if (given.file !== child.nodeName) throw cannotChange('file');
    return child.ownedByMonitor ? [] : planNode(child, child.given, options, nodes);
  }
  if (child.ownedByMonitor) throw cannotChange('file');
  return planNode(child, { 'node-name': child.nodeName, ...given.file }, options, nodes);
}

function standsOn(node: BlockNode | undefined, other: BlockNode): boolean {
  return node !== undefined && (node === other || standsOn(node.child?.child, other));
}

/** @throws FdsetError for an option that was given before, cannot change, and is not given now. */
function checkLeftOut(node: BlockNode, given: BlockdevOptions): void {
  for (const name of names(node.given)) {
    const isMissing = valueOf(given, name) === undefined;
    if (isMissing && !isChangeable(node, name)) {
      throw optionError(`Option '${name}' cannot be reset to its default value`);
    }
  }
}

/** @throws FdsetError for an option that cannot change and is not what it was. */
function checkUnchanged(node: BlockNode, given: BlockdevOptions): void {
  for (const name of names(given)) {
    const isSame = valueOf(given, name) === valueOf(node.given, name);
    if (!isSame && (name === 'node-name' || !isChangeable(node, name))) throw cannotChange(name);
    if (name === 'cache' && hasEmptyCache(given)) throw cannotChange(name);
  }
}

/** `size` is part of raw's window, but what null-co is. */
function isChangeable(node: BlockNode, name: string): boolean {
  return changeable.has(name) || (name === 'size' && node.driver === 'raw');
}

/** The options that are given, in the order in which QEMU looks at them. */
function names(options: BlockdevOptions): string[] {
  return inQemuOrder(Object.keys(options).filter((name) => valueOf(options, name) !== undefined));
}

function valueOf(options: BlockdevOptions, name: string): unknown {
  return (options as unknown as Readonly<Record<string, unknown>>)[name];
}

function cannotChange(name: string): Error {
  return optionError(`Cannot change the option '${name}'`);
}
