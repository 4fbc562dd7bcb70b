// What is in a recording?
//
//   {"fdset-recording":1,"started":"2026-01-31T12:00:00.000Z"}
//   {"at":0.000312,"from":"server","message":{"QMP":{…}}}
//   {"at":0.001405,"from":"client","message":{"execute":"add-fd","id":2},
//    "files":[{"path":"/srv/disk.img","mode":"rw","type":"file","device":2049,"inode":131077,"size":1048576}]}
//
// `at` is in seconds since the start. A message is as on the wire, but for white space. Integers are exact.
import type { JsonObject } from '../json/index.ts';

export const FORMAT_VERSION = 1;

/** What an fd was that went with a command. */
export interface PassedFile {
  /** As the kernel knows it; of a file that has been removed it ends with ` (deleted)`. */
  readonly path: string;
  readonly mode: 'r' | 'w' | 'rw';
  /** Opened with O_DIRECT. */
  readonly direct: boolean;
  readonly type: 'file' | 'block' | 'char' | 'folder' | 'fifo' | 'socket' | 'other';
  readonly device: number | bigint;
  readonly inode: number | bigint;
  /** Of a regular file, in bytes. */
  readonly size: number | bigint | undefined;
}

export interface RecordedMessage {
  /** The line of the file, counted from 1. */
  readonly line: number;
  /** Seconds since the start. */
  readonly at: number;
  readonly from: 'client' | 'server';
  readonly message: JsonObject;
  /** What went with it. */
  readonly files: readonly PassedFile[];
}

export interface Recording {
  readonly started: string;
  readonly messages: readonly RecordedMessage[];
}
