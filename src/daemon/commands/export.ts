// The commands of QEMU's qapi/block-export.json.
import type { CommandRegistry } from '../../monitor/index.ts';
import {
  blockExportAdd,
  blockExportDel,
  blockExportDeleted,
  nbdServerAdd,
  nbdServerRemove,
  queryBlockExports,
} from '../../qapi/schema/block-export.ts';
import type { BlockExports } from '../block-exports.ts';

export function registerExportCommands(registry: CommandRegistry, exports: BlockExports): void {
  registry.declareEvent(blockExportDeleted);
  registry.register(blockExportAdd, (options) => exports.add(options));
  registry.register(blockExportDel, ({ id, mode = 'safe' }) => exports.delete(id, mode));
  registry.register(queryBlockExports, () => exports.query());
  registry.register(nbdServerAdd, ({ device, bitmap, ...options }) =>
    exports.addByDevice(device, { ...options, ...(bitmap !== undefined && { bitmaps: [bitmap] }) }),
  );
  registry.register(nbdServerRemove, ({ name, mode = 'safe' }) => exports.delete(name, mode));
}
