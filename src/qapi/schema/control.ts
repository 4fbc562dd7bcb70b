// Monitor control: negotiation, version, the list of commands, quit. QEMU's qapi/control.json.
import { array, bool, command, enumeration, int, optional, str, struct } from '../builders.ts';
import type { Infer } from '../types.ts';

export const QMPCapability = enumeration('QMPCapability', ['oob']);
export type QMPCapability = Infer<typeof QMPCapability>;

export const qmpCapabilities = command('qmp_capabilities', { data: { enable: optional(array(QMPCapability)) } });

export const VersionTriple = struct('VersionTriple', { major: int, minor: int, micro: int });
export const VersionInfo = struct('VersionInfo', { qemu: VersionTriple, package: str });
export type VersionInfo = Infer<typeof VersionInfo>;

export const queryVersion = command('query-version', { returns: VersionInfo });

export const CommandInfo = struct('CommandInfo', { name: str });
export const queryCommands = command('query-commands', { returns: array(CommandInfo) });

export const quit = command('quit');

export const MonitorMode = enumeration('MonitorMode', ['readline', 'control']);

/** The members of the option `--monitor`, whose implied key is `chardev`. */
export const MonitorOptions = struct('MonitorOptions', {
  id: optional(str),
  mode: optional(MonitorMode),
  pretty: optional(bool),
  chardev: str,
});
export type MonitorOptions = Infer<typeof MonitorOptions>;
