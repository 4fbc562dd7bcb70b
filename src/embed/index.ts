// fdset/monitor: a QMP server inside a program of your own. Read monitor.ts first; docs/guide/monitor.md is the guide.
//
// The builders of QAPI come with it, so that commands and events need no second import.
export { Monitor, type CommandCall, type Handler, type MonitorOptions, type ProfileName } from './monitor.ts';
export type { RateLimit } from '../monitor/index.ts';
export type { ListenAddress, ListenOptions } from './listen.ts';
export {
  alternate,
  any,
  array,
  bool,
  command,
  enumeration,
  event,
  int,
  int16,
  int32,
  int64,
  int8,
  lazy,
  nullType,
  number,
  optional,
  required,
  size,
  str,
  struct,
  uint16,
  uint32,
  uint64,
  uint8,
  union,
} from '../qapi/index.ts';
export type {
  CommandArguments,
  CommandDefinition,
  CommandResult,
  EventData,
  EventDefinition,
  Infer,
  Int64,
  QapiType,
} from '../qapi/index.ts';
export { FdsetDup, FdsetTable, OwnedFd, parseDevFdset } from '../fds/index.ts';
export { FdsetError } from '../errors.ts';
export type { PeerCredentials, SocketAddress } from '../socket/index.ts';
