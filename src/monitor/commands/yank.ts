// The commands of QEMU's qapi/yank.json: ending a connection that hangs, out of band if need be.
import type { CharacterDevices } from '../../chardev/index.ts';
import { FdsetError } from '../../errors.ts';
import { queryYank, yank, type YankInstance } from '../../qapi/schema/yank.ts';
import type { CommandRegistry } from '../registry.ts';

/** @param devices those that can be yanked: sockets */
export function registerYankCommands(registry: CommandRegistry, devices: CharacterDevices): void {
  registry.register(yank, ({ instances }) => {
    const found = instances.map((instance) => find(devices, instance));
    for (const end of found) end();
  });
  registry.register(queryYank, () =>
    [...devices].filter((device) => device.yank !== undefined).map(({ id }) => ({ type: 'chardev' as const, id })),
  );
}

/** How an instance is ended. */
function find(devices: CharacterDevices, instance: YankInstance): () => void {
  const device = instance.type === 'chardev' ? devices.get(instance.id) : undefined;
  if (device?.yank === undefined) {
    throw new FdsetError('ERR_FDSET_YANK', 'Instance not found', { errorClass: 'DeviceNotFound' });
  }
  return () => device.yank!();
}
