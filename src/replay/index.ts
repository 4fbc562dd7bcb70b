// A recorded conversation once more: against a server, to see whether it still answers the same (replay.ts), or as the
// server, for a program under test (recorded-qemu.ts).
export { replay, type Difference, type ReplayOptions, type ReplayResult } from './replay.ts';
export { RecordedQemu, serveRecording, type ServeRecordingOptions } from './recorded-qemu.ts';
