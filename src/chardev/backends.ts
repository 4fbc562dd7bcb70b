// Which kinds of character devices are there? What QEMU has and fdset has not is refused as QEMU refuses a kind that was
// not built in.
import { FdsetError } from '../errors.ts';

/** The names of the kinds, in QEMU's order where both have them. */
export const chardevBackends = ['null', 'ringbuf', 'socket', 'stdio', 'memory'] as const;

/** @throws FdsetError there is no such kind */
export function checkBackend(name: string): void {
  if ((chardevBackends as readonly string[]).includes(name)) return;
  throw new FdsetError('ERR_FDSET_CHARDEV', `'${name}' is not a valid char driver name`);
}
