// The typed door to native/: system calls as functions, without policy. Nothing else loads the addon.
//
// Read fd-ops.ts first: what can be done to an fd at once. io-pool.ts has what may block, as promises. Every function
// that fails throws (or rejects with) SystemError. Sources: the man pages of section 2.
export {
  O,
  closeAtOnce,
  closeFd,
  closeUnattended,
  dupFd,
  getCloseOnExec,
  getStatusFlags,
  pipe,
  setCloseOnExec,
  setStatusFlags,
  socketPair,
  type OpenFlags,
} from './fd-ops.ts';
export {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  allocateIoBuffer,
  blkDiscard,
  blkZeroout,
  blockDeviceGeometry,
  blockDeviceSize,
  close,
  directIoAlignment,
  fallocate,
  fdatasync,
  fsType,
  fstat,
  ftruncate,
  ofdLock,
  ofdTestLock,
  open,
  pread,
  pwrite,
  seekData,
  seekHole,
  type BlockDeviceGeometry,
  type DirectIoAlignment,
  type FileStatus,
} from './io-pool.ts';
export { preadCached, preadNow, pwriteNow } from './inline-io.ts';
export { SystemError, checkResult, errnoName, strerror } from './system-error.ts';
export { fileFacts, sameDescription, type FileFacts, type FileType } from './file-facts.ts';
export { setTerminalSignals } from './terminal.ts';
export { unixSocketPeers } from './unix-diag.ts';
export {
  SpawnError,
  allowPath,
  createRuleset,
  installSeccompFilter,
  landlockAbi,
  opensslFolder,
  processRights,
  seccompAvailable,
  setDumpable,
  spawnSandboxed,
} from './sandbox.ts';
export type { ExitStatus, FdMapping, ProcessRights, Restrictions, SpawnedProcess, SpawnOptions } from './sandbox.ts';
export {
  FD_REFUSED,
  MAX_SENT_FDS,
  NO_FD,
  SocketEvent,
  SocketKind,
  inetAddress,
  socketBind,
  socketBufferedBytes,
  socketChainedReads,
  socketConnect,
  socketDestroy,
  socketEnd,
  socketError,
  socketIsListening,
  socketListen,
  socketMake,
  socketName,
  socketOpen,
  socketPause,
  socketPeerCred,
  socketReceiveBuffer,
  socketRef,
  socketSetOption,
  socketSettleFds,
  socketTakeFd,
  socketWrite,
  unixAddress,
} from './fd-socket.ts';
export type {
  NativeInetName,
  NativeUnixName,
  PeerCredentials,
  SocketCallback,
  SocketHandle,
  SocketOption,
} from './fd-socket.ts';
