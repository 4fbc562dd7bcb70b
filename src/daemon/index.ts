// The storage daemon: fd sets, block nodes, exports and monitors in one process, and the starter that puts that process
// into a sandbox. Read storage-daemon.ts first (what it consists of), then main.ts (the program), starter.ts and
// sandbox.ts (how it gives up its rights; SECURITY.md).
//
// Source: QEMU's storage-daemon/, docs/reference/storage-daemon.md.
export { storageDaemonMain } from './main.ts';
export { daemonScript } from './run-starter.ts';
export { startDaemon, type DaemonStart, type StartedDaemon } from './starter.ts';
export { listenOn, type TakeFd } from '../socket/index.ts';
export { describeSandbox, type SandboxReport } from './sandbox-report.ts';
export { sandboxModes, type SandboxMode } from './sandbox-order.ts';
