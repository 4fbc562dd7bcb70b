// What does query-named-block-nodes say about a node? Source: QEMU's qapi/block-core.json, `BlockDeviceInfo`.
import { writeJson } from '../json/index.ts';
import type { BlockDeviceInfo } from '../qapi/index.ts';
import type { BlockNode } from './node.ts';

/** Resolves to all members; waits for the file no longer than `queryTimeoutMs`. */
export async function describeNode(node: BlockNode): Promise<BlockDeviceInfo> {
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
    active: true,
    backing_file_depth: 0,
    ...unthrottled,
    image: {
      filename,
      format: node.driver,
      'virtual-size': node.length,
      ...(actualSize === undefined ? {} : { 'actual-size': actualSize }),
      ...node.imageInfo(),
    },
  };
}

const unthrottled = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
