// Which classes of objects are there, and which of qemu-storage-daemon's are not?
import { FdsetError } from '../errors.ts';
import { expects } from '../qapi/index.ts';
import { lineage, qomError, type QomClass } from './qom-class.ts';
import { authzList, authzSimple } from './types/authz.ts';
import { iothread, mainLoop } from './types/event-loop.ts';
import { secret } from './types/secret.ts';
import { throttleGroup } from './types/throttle-group.ts';

/** The classes of objects that object-add can make, by name. */
export const creatableClasses: readonly QomClass[] = [
  authzList,
  authzSimple,
  iothread,
  mainLoop,
  secret,
  throttleGroup,
];

/** Classes that qemu-storage-daemon has and this program has not, with the reason. */
const absentClasses: Readonly<Record<string, string>> = {
  'pr-manager-helper': 'persistent reservations are not there',
  secret_keyring: 'the keyring of the kernel is not read: use secret',
  'thread-context': 'the threads of this program are not placed on processors',
  'tls-creds-anon': 'TLS is not there yet',
  'tls-creds-psk': 'TLS is not there yet',
  'tls-creds-x509': 'TLS is not there yet',
};

const root: QomClass = { name: 'object', abstract: true };
const container: QomClass = { name: 'container' };
/** What every class that object-add can make implements. */
export const USER_CREATABLE = 'user-creatable';

/** Every class, also those that only others are derived from. */
export function allClasses(others: readonly QomClass[]): QomClass[] {
  const all = [root, ...creatableClasses, container, ...others].flatMap(lineage);
  return [...new Map(all.map((one) => [one.name, one])).values()];
}

/** @throws FdsetError with QEMU's text, and the reason where it is ours */
export function findCreatable(name: string): QomClass {
  const found = creatableClasses.find((one) => one.name === name);
  if (found !== undefined) return found;
  const reason = Object.hasOwn(absentClasses, name) ? `: ${absentClasses[name]}` : '';
  throw qomError(`invalid object type: ${name}${reason}`);
}

/** @throws FdsetError DeviceNotFound */
export function findClass(name: string, others: readonly QomClass[]): QomClass {
  const found = allClasses(others).find((one) => one.name === name);
  if (name === USER_CREATABLE) throw expects('typename', 'a QOM type');
  if (found === undefined) {
    throw new FdsetError('ERR_FDSET_QOM', `Class '${name}' not found`, { errorClass: 'DeviceNotFound' });
  }
  return found;
}
