// Which names may a node have? QEMU's rules, and the names it makes up for nodes that were given none.
import { optionError } from './options.ts';

const wellFormed = /^[A-Za-z][-A-Za-z0-9._]*$/;
const longest = 31;

/**
 * Checks a name from a user.
 * @throws FdsetError with QEMU's text: malformed, in use, too long, in this order.
 */
export function checkNodeName(name: string, isTaken: (name: string) => boolean): void {
  if (!wellFormed.test(name)) throw optionError(`Invalid node-name: '${name}'`);
  if (isTaken(name)) throw optionError(`Duplicate nodes with node-name='${name}'`);
  if (name.length > longest) throw optionError('Node name too long');
}

/** Makes names such as `#block042`: a counter, then two random digits. */
export class NodeNames {
  #made = 0;

  next(): string {
    const random = Math.floor(Math.random() * 100);
    return `#block${this.#made++}${String(random).padStart(2, '0')}`;
  }
}
