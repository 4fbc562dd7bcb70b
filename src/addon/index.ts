// The typed door to native/: system calls as functions, without policy. Nothing else loads the addon.
//
// Read fd-ops.ts first: what can be done to an fd at once. Every function that fails throws SystemError. Sources: the
// man pages of section 2.
export {
  O,
  closeFd,
  dupFd,
  getCloseOnExec,
  getStatusFlags,
  pipe,
  setCloseOnExec,
  setStatusFlags,
  socketPair,
  type OpenFlags,
} from './fd-ops.ts';
export { SystemError, checkResult, errnoName, strerror } from './system-error.ts';
export { loadAddon } from './load.ts';
export { unixSocketPeers } from './unix-diag.ts';
export {
  SpawnError,
  allowPath,
  createRuleset,
  installSeccompFilter,
  landlockAbi,
  processRights,
  seccompAvailable,
  setDumpable,
  spawnSandboxed,
} from './sandbox.ts';
export type { ExitStatus, FdMapping, ProcessRights, Restrictions, SpawnedProcess, SpawnOptions } from './sandbox.ts';
