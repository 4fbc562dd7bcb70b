// The QMP client: commands and the files that go with them to any QMP server. Read session.ts first.
//
// Source: QEMU's docs/interop/qmp-spec.
export { QmpClient, type ExecuteOptions, type QmpClientOptions, type QmpEvent, type QmpTarget } from './session.ts';
export { QmpError } from './qmp-error.ts';
export { findMonitorHolders, type MonitorHolder } from './monitor-holders.ts';
