// Who owns an fd, and which fds has the user given us? Owners and QEMU's fd sets.
//
// Read owned-fd.ts first. Source: QEMU's monitor/fds.c and the QMP reference of add-fd, remove-fd and query-fdsets.
export { OwnedFd } from './owned-fd.ts';
