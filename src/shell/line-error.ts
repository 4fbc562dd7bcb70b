// What is wrong with a command line, and where? The place is for a caret below the line.
import { FdsetError } from '../errors.ts';

/** A part of a line: from `start` up to `end`, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A line that is no command: what is wrong, with the way out, and which part of it is meant. */
export class LineError extends FdsetError {
  readonly span: Span;

  constructor(message: string, { start, end }: Span) {
    super('ERR_FDSET_COMMAND_LINE', message);
    this.span = { start, end };
  }
}
