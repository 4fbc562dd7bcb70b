// What has a server answered instead of a result?
import { FdsetError } from '../errors.ts';

/** Where in the program a call was made: an object whose `stack` was captured there. */
export interface CallSite {
  readonly stack?: string;
}

/** An error reply of a QMP server, and nothing else: whatever goes wrong on this side is another FdsetError. */
export class QmpError extends FdsetError {
  /** The class as the server sent it; it may know more classes than this library. */
  readonly class: string;
  /** The server's text. It may change between versions: match on {@link class}. */
  readonly desc: string;
  /** The command that was refused. */
  readonly command: string;

  /** @param site where the call was made: the stack tells of that, and not of the event loop that brought the reply. */
  constructor(command: string, errorClass: string, desc: string, site?: CallSite) {
    super('ERR_FDSET_QMP_ERROR', `${command}: ${desc}`);
    this.command = command;
    this.class = errorClass;
    this.desc = desc;
    if (site !== undefined) madeAt(this, site);
  }
}

/** Gives an error the stack of a call. */
export function madeAt(error: Error, site: CallSite): void {
  const frames = site.stack?.replace(/^[^\n]*\n?/, '') ?? '';
  error.stack = `${error.name}: ${error.message}\n${frames}`;
}
