// fdset: files that one process opens and another uses. Table of contents:
//
//   fdset/client   a QMP client that passes files to any QMP server      (src/client/client.ts)
//   fdset/monitor  a QMP monitor with fd sets, for programs of your own   (src/embed/monitor.ts)
//   fdset/testing  a QEMU for test suites, with failures on demand        (src/testing/test-qemu.ts)
//
// Here are the owners of fds that both hand out, and the root of all errors.
export { FdsetError, type FdsetErrorOptions, type QapiErrorClass } from './errors.ts';
export { OwnedFd, FdsetTable } from './fds/index.ts';
export { SystemError } from './addon/index.ts';
