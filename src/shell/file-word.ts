// What does `@FILE:rw` mean? A file to be opened and passed: `@disk.img` (read-only), `@disk.img:rw`, `@disk.img:w`, and
// with O_DIRECT `@disk.img:rw,direct`. A name with blanks or an ending like a mode is quoted: `@"my disk:r":rw`.
import { unquote } from './quotes.ts';

export type FileMode = 'r' | 'w' | 'rw';

/** A file of a command line. */
export interface FileWord {
  readonly path: string;
  readonly mode: FileMode;
  readonly direct: boolean;
}

/** Reads a word or a value; undefined where it is no file. `@@` at the start is a plain `@`. */
export function parseFileWord(text: string): FileWord | undefined {
  if (!text.startsWith('@') || text.startsWith('@@') || text.length === 1) return undefined;
  const match = /^@(.+?)(?::(rw|r|w)(,direct)?)?$/s.exec(text)!;
  const quoted = unquote(match[1]!);
  return {
    path: quoted ?? match[1]!,
    mode: (match[2] as FileMode | undefined) ?? 'r',
    direct: match[3] !== undefined,
  };
}
