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
