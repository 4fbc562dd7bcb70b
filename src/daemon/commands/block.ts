// The commands of QEMU's qapi/block-core.json that are about nodes.
import type { BlockGraph } from '../../block/index.ts';
import type { CommandRegistry } from '../../monitor/index.ts';
import {
  blockdevAdd,
  blockdevDel,
  blockdevReopen,
  blockResize,
  queryBlock,
  queryNamedBlockNodes,
} from '../../qapi/schema/block-core.ts';

export function registerBlockCommands(registry: CommandRegistry, graph: BlockGraph): void {
  registry.register(blockdevAdd, (options) => graph.blockdevAdd(options));
  registry.register(blockdevDel, ({ 'node-name': nodeName }) => graph.blockdevDel(nodeName));
  registry.register(blockdevReopen, ({ options }) => graph.blockdevReopen(options));
  // About devices of a machine: a storage daemon has none.
  registry.register(queryBlock, () => []);
  registry.register(queryNamedBlockNodes, () => graph.queryNamedBlockNodes());
  registry.register(blockResize, ({ device, 'node-name': nodeName, size }) =>
    graph.blockResize(device, nodeName, size),
  );
}
