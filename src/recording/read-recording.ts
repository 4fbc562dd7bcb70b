// What does a recording say? A file that somebody may have edited: every line is checked.
import { readFileSync } from 'node:fs';

import { FdsetError } from '../errors.ts';
import { isJsonObject, JsonDouble, JsonParseError, type JsonObject, type JsonValue, parseJson } from '../json/index.ts';
import { FORMAT_VERSION, type PassedFile, type RecordedMessage, type Recording } from './format.ts';

/**
 * Reads a recording.
 *
 * @throws FdsetError `ERR_FDSET_RECORDING` with the line that is wrong; what reading the file fails with
 */
export function readRecording(path: string): Recording {
  const lines = readFileSync(path, 'utf8').split('\n');
  const header = lineObject(path, lines[0] ?? '', 1);
  const version = header.get('fdset-recording');
  if (version === undefined) throw recordingError(path, 1, 'this is no recording');
  if (version !== FORMAT_VERSION) throw recordingError(path, 1, 'this recording was made by a newer fdset');
  const messages: RecordedMessage[] = [];
  lines.forEach((text, index) => {
    if (index > 0 && text.trim() !== '') messages.push(readMessage(path, text, index + 1));
  });
  const started = header.get('started');
  return { started: typeof started === 'string' ? started : '', messages };
}

function readMessage(path: string, text: string, line: number): RecordedMessage {
  const entry = lineObject(path, text, line);
  const at = entry.get('at');
  const from = entry.get('from');
  const message = entry.get('message');
  const files = entry.get('files') ?? [];
  if (from !== 'client' && from !== 'server') throw recordingError(path, line, '`from` is neither client nor server');
  if (!isJsonObject(message)) throw recordingError(path, line, '`message` is no object');
  if (!Array.isArray(files)) throw recordingError(path, line, '`files` is no list');
  const seconds = at instanceof JsonDouble ? at.value : Number(at ?? 0);
  return { line, at: seconds, from, message, files: files.map((file) => readFile(path, file, line)) };
}

function readFile(path: string, file: JsonValue, line: number): PassedFile {
  if (!isJsonObject(file)) throw recordingError(path, line, 'a file is no object');
  const mode = file.get('mode');
  const name = file.get('path');
  if (typeof name !== 'string') throw recordingError(path, line, 'a file has no path');
  if (mode !== 'r' && mode !== 'w' && mode !== 'rw') throw recordingError(path, line, 'a file has no mode');
  return {
    path: name,
    mode,
    direct: file.get('direct') === true,
    type: (file.get('type') ?? 'other') as PassedFile['type'],
    device: (file.get('device') ?? 0) as number | bigint,
    inode: (file.get('inode') ?? 0) as number | bigint,
    size: file.get('size') as number | bigint | undefined,
  };
}

function lineObject(path: string, text: string, line: number): JsonObject {
  try {
    const value = parseJson(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof JsonParseError)) throw error;
  }
  throw recordingError(path, line, 'this is no JSON object');
}

function recordingError(path: string, line: number, why: string): FdsetError {
  return new FdsetError('ERR_FDSET_RECORDING', `${path}:${line}: ${why}`);
}
