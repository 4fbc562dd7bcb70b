// Giving up on connections that hang. QEMU's qapi/yank.json.
import { array, command, enumeration, str, struct, union } from '../builders.ts';
import type { Infer } from '../types.ts';

export const YankInstanceType = enumeration('YankInstanceType', ['block-node', 'chardev', 'migration']);

export const YankInstanceBlockNode = struct('YankInstanceBlockNode', { 'node-name': str });
export const YankInstanceChardev = struct('YankInstanceChardev', { id: str });

/** What can be yanked. */
export const YankInstance = union('YankInstance', {
  base: { type: YankInstanceType },
  discriminator: 'type',
  variants: { 'block-node': YankInstanceBlockNode, chardev: YankInstanceChardev },
});
export type YankInstance = Infer<typeof YankInstance>;

export const yank = command('yank', { data: { instances: array(YankInstance) }, allowOob: true });
export const queryYank = command('query-yank', { returns: array(YankInstance), allowOob: true });
