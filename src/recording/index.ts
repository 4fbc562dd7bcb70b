// A conversation with a QMP server in a file, one JSON line for each message: what was said when, and which files were
// passed. Read format.ts first; recorder.ts writes such a file, read-recording.ts reads it.
export { recordTo, type Recorder } from './recorder.ts';
export { readRecording } from './read-recording.ts';
export type { PassedFile, RecordedMessage, Recording } from './format.ts';
