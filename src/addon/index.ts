// The typed door to native/: system calls as functions, without policy. Nothing else loads the addon.
//
// Read fd-ops.ts first: what can be done to an fd at once. io-pool.ts has what may block, as promises. Every function
// that fails throws (or rejects with) SystemError. Sources: the man pages of section 2.
export { SystemError, checkResult, errnoName, strerror } from './system-error.ts';
export { loadAddon } from './load.ts';
export { unixSocketPeers } from './unix-diag.ts';
