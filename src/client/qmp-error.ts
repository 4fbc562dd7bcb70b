// What has a server answered instead of a result?
import { FdsetError } from '../errors.ts';

/** An error reply of a QMP server, and nothing else: whatever goes wrong on this side is another FdsetError. */
export class QmpError extends FdsetError {
  /** The class as the server sent it; it may know more classes than this library. */
  readonly class: string;
  /** The server's text. It may change between versions: match on {@link class}. */
  readonly desc: string;
  /** The command that was refused. */
  readonly command: string;

  constructor(command: string, errorClass: string, desc: string) {
    super('ERR_FDSET_QMP_ERROR', `${command}: ${desc}`);
    this.command = command;
    this.class = errorClass;
    this.desc = desc;
  }
}

/** Where in the program a call was made: an object whose `stack` was captured there. */
export interface CallSite {
  readonly stack?: string;
}

type AnyFunction = (...args: never[]) => unknown;

/** The place from which `called` is called right now. */
export function callSite(called: AnyFunction): CallSite {
  const site: CallSite = {};
  Error.captureStackTrace(site, called);
  return site;
}

/** Gives an error the stack of a call, or without one that of those who await the async function `called`, now ending. */
export function tellSite(error: Error, site: CallSite | undefined, called: AnyFunction): void {
  if (site === undefined) return Error.captureStackTrace(error, called);
  const frames = site.stack?.replace(/^[^\n]*\n?/, '') ?? '';
  error.stack = `${error.name}: ${error.message}\n${frames}`;
}
