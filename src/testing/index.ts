// fdset/testing: a QEMU for test suites. Read test-qemu.ts first; docs/guide/testing.md is the guide.
//
// The monitor is the real one, with real fds; between it and the client lies a channel that does to replies what the test
// has ordered (disturbed-channel.ts), and before its commands stand the replies that the test has canned.
export { TestQemu, type ReplyOptions, type TestQemuOptions } from './test-qemu.ts';
export { errorReply, type CannedCall, type CannedFunction, type CannedReply } from './scripted-registry.ts';
export type { Fault } from './fault.ts';
export type { Reception } from './test-socket.ts';
export type { PassedFile, ReceivedCommand } from './client-log.ts';
export type { PlainJson } from './plain-json.ts';
export { RecordedQemu, serveRecording, type ServeRecordingOptions } from '../replay/index.ts';
export { OwnedFd } from '../fds/index.ts';
export { FdsetError } from '../errors.ts';
