// The commands of QEMU's qapi/control.json: negotiation, version, the list of commands, quit.
import { qmpCapabilities, queryCommands, queryVersion, quit } from '../../qapi/schema/control.ts';
import type { Profile } from '../profile.ts';
import type { CommandRegistry } from '../registry.ts';

export interface ControlOptions {
  readonly profile: Profile;
  /** Ends what the program serves; events it causes come before the reply to `quit`. */
  readonly beforeQuit?: () => void | Promise<void>;
  /**
   * Ends the program: called once the reply to `quit` has left. No command runs any more. Without it there is no `quit`.
   */
  readonly onQuit?: (() => void) | undefined;
}

export function registerControlCommands(registry: CommandRegistry, options: ControlOptions): void {
  const { onQuit } = options;
  registry.register(qmpCapabilities, ({ enable = [] }, context) => context.negotiate(enable));
  registry.register(queryVersion, () => options.profile.version);
  registry.register(queryCommands, () => registry.commands.map(({ name }) => ({ name })).reverse());
  if (onQuit === undefined) return;
  registry.register(quit, (_, context) => {
    context.shutDown(onQuit);
    return options.beforeQuit?.();
  });
}
