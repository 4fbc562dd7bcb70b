// The QMP server. Read session.ts first: what happens on one connection; then dispatch.ts: who runs a command, and when.
//
// A program makes one registry, registers the commands it has, and puts a Monitor on each character device:
//
//   const registry = new CommandRegistry();
//   registerFdCommands(registry, fdsets);
//   const shared = createMonitorShared(registry);
//   const monitor = new Monitor(chardev, shared);
//
// Source: QEMU's docs/interop/qmp-spec; monitor/ and qapi/ as seen from outside.
export { Monitor, createMonitorShared, type MonitorOptions, type MonitorShared } from './monitor.ts';
export {
  CommandRegistry,
  type CommandContext,
  type CommandHandler,
  type CommandOutcome,
  type QmpCapability,
  type RegisteredCommand,
} from './registry.ts';
export { registerFdCommands } from './commands/fds.ts';
export { registerCharCommands } from './commands/char.ts';
export { registerYankCommands } from './commands/yank.ts';
export { registerControlCommands, type ControlOptions } from './commands/control.ts';
export { registerIntrospectCommands } from './commands/introspect.ts';
export { registerLedgerCommands, type LedgerOptions } from './commands/ledger.ts';
export { registerJobCommands } from './commands/job.ts';
export { PROFILE_10_0, PROFILES, type Profile } from './profile.ts';
export type { Dispatcher } from './dispatch.ts';
export type { RateLimit } from './event-throttle.ts';
export type { MonitorEvents } from './events.ts';
export type { RequestedEvents } from './requested-events.ts';
