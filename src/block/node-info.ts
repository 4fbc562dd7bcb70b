// What does query-named-block-nodes say about a node? Source: QEMU's qapi/block-core.json, `BlockDeviceInfo`.
import { writeJson } from '../json/index.ts';
import type { BlockDeviceInfo } from '../qapi/index.ts';
import type { BlockNode, ImageFacts } from './node.ts';
import type { BlockRules } from './rules.ts';

/** Resolves to all members; waits for the file no longer than `queryTimeoutMs`. */
export async function describeNode(node: BlockNode, rules: BlockRules): Promise<BlockDeviceInfo> {
  const filename = node.exactFilename ?? `json:${writeJson(node.describe())}`;
  const actualSize = await node.actualSize();
  const { readOnly, direct, noFlush, detectZeroes } = node.options;
  return {
    'node-name': node.nodeName,
    drv: node.driver,
    file: filename,
    ro: readOnly,
    encrypted: false,
    detect_zeroes: detectZeroes,
    cache: { writeback: true, direct, 'no-flush': noFlush },
    write_threshold: 0,
    ...(rules.showsActive ? { active: true } : unknownMember),
    backing_file_depth: 0,
    ...unthrottled,
    image: {
      filename,
      format: node.driver,
      'virtual-size': node.length,
      ...(actualSize === undefined ? {} : { 'actual-size': actualSize }),
      ...imageFacts(node, rules),
    },
  };
}

function imageFacts(node: BlockNode, rules: BlockRules): ImageFacts {
  const { 'format-specific': specific, ...facts } = node.imageInfo();
  const isShown = specific !== undefined && (specific.type !== 'file' || rules.showsFileSpecific);
  return { ...facts, ...(isShown && { 'format-specific': specific }) };
}

/** The schema is that of 10.0, where the member is mandatory; a version that has none has no such schema. */
const unknownMember = {} as { readonly active: boolean };
const unthrottled = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
