// Who owns an fd, and which fds has the user given us? Owners, QEMU's fd sets, and the fds with names.
//
// Read owned-fd.ts first, then fdset.ts. Source: QEMU's monitor/fds.c, and its QMP reference of add-fd, remove-fd,
// query-fdsets, getfd and closefd; docs/reference/fdset.md has what QEMU does beyond that.
export { OwnedFd } from './owned-fd.ts';
export { FdsetTable, type AddOptions, type FdsetInfo } from './fdset.ts';
export { FdsetDup } from './fdset-dup.ts';
export type { DupRecord, FdOrigin, FdsetChange, FdsetRecord, MemberRecord } from './fdset-record.ts';
export { FDSET_RULES_10_0, FDSET_RULES_7_2, type FdsetRules } from './fdset-rules.ts';
export { parseDevFdset } from './dev-fdset.ts';
export { NamedFds } from './named-fds.ts';
export { declareInheritedFds, listInheritedFds, takeInheritedFd } from './inherited-fds.ts';
export type { Int64 } from './int64.ts';
export { noFdSupplied } from './fdset-errors.ts';
