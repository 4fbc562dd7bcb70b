// The command of QEMU's qapi/introspect.json: the whole schema of this program.
import { querySchema } from '../../qapi/index.ts';
import { queryQmpSchema } from '../../qapi/schema/introspect.ts';
import type { CommandRegistry } from '../registry.ts';

export function registerIntrospectCommands(registry: CommandRegistry): void {
  registry.register(queryQmpSchema, () => querySchema(registry.commands, registry.events));
}
