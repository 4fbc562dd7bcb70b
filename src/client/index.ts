// The QMP client: commands and the files that go with them to any QMP server. client.ts is what a program holds, and
// session.ts what happens on one connection: read them first. docs/guide/client.md shows the use.
//
// Source: QEMU's docs/interop/qmp-spec.
export { QmpClient } from './client.ts';
export {
  DEFAULT_CLIENT_LIMITS,
  type QmpClientOptions,
  type QmpClientState,
  type StateListener,
  type WaitOptions,
} from './client-options.ts';
export type { QmpTarget } from './target.ts';
export type { ExecuteOptions, QmpObserver } from './session.ts';
export type { ReconnectOptions } from './reconnect.ts';
export type { QmpFile } from './passed-file.ts';
export type { AddedFd, AddFdOptions, FdSet, OpenFdSet, PassOptions, SetId } from './files.ts';
export { JobError, type JobProgress, type RunJobOptions } from './jobs.ts';
export { QmpListener, type QmpListenOptions } from './listen.ts';
export { EventStream, type EventStreamOptions } from './events.ts';
export type { QmpValue } from './plain.ts';
export type {
  AnyEvent,
  AnySchema,
  CommandArguments,
  CommandName,
  CommandResult,
  EventName,
  EventOf,
  JobArgumentsOf,
  QmpArguments,
  QmpEvent,
  QmpSchemaTypes,
} from './typed.ts';
export type {
  AlternateInfo,
  ArrayInfo,
  BuiltinInfo,
  CommandInfo,
  EnumInfo,
  EventInfo,
  ObjectInfo,
  SchemaInfo,
} from './schema-info.ts';
export type { Qemu10, Qemu7 } from '../qemu-types/index.ts';
export { recordTo, type Recorder } from '../recording/index.ts';
export { QmpError } from './qmp-error.ts';
export { findMonitorHolders, type MonitorHolder } from './monitor-holders.ts';
