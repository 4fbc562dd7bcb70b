// How does the program speak on stderr? `PROGRAM: OPTION: TEXT`, as QEMU's programs do: errors and warnings.
import { writeSync } from 'node:fs';

import { FdsetError } from '../errors.ts';
import { type OptionWarning, QapiError } from '../qapi/index.ts';
import type { Option } from './options.ts';

/** Says a warning about one option; `place` is where in a file it is, in place of the option. */
export type Warn = (text: string, place?: string) => void;

/** An error at a place in a file: `PROGRAM:FILE: TEXT`, whatever option named the file. */
export class PlacedError extends FdsetError {
  readonly place: string;

  constructor(place: string, message: string, cause: unknown) {
    super('ERR_FDSET_OPTION', message, { cause });
    this.place = place;
  }
}

export class ProgramMessages {
  readonly #program: string;

  /** @param program its name in front of every line */
  constructor(program: string) {
    this.#program = program;
  }

  error(error: FdsetError): void {
    const place = error instanceof PlacedError ? `:${error.place}` : '';
    const hint = hintOf(error);
    writeLine(`${this.#program}${place}: ${error.message}${hint === undefined ? '' : `\n${hint}`}`);
  }

  note(text: string): void {
    writeLine(`${this.#program}: ${text}`);
  }

  /** Warnings about an option. */
  of(option: Option): Warn {
    return (text, place) => {
      const where = place === undefined ? ` ${option.text}` : place;
      writeLine(`${this.#program}:${where}: warning: ${text}`);
    };
  }
}

/** The second line that QEMU prints below some errors. */
function hintOf(error: unknown): string | undefined {
  if (error instanceof QapiError) return error.hint;
  return error instanceof FdsetError && error.cause !== undefined ? hintOf(error.cause) : undefined;
}

/** Not through process.stderr, which keeps a terminal open on an fd of its own. */
function writeLine(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads: there is nobody else to tell.
  }
}

/** For {@link parseQemuOpts}. */
export function deprecation(warn: Warn): (warning: OptionWarning) => void {
  return ({ message, hint }) => warn(`${message}\n${hint}`);
}
