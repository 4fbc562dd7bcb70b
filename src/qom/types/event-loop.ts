// The objects iothread and main-loop. Requests are carried out on a pool of threads of this program's own, whatever
// these objects say: they can be made, named and read back, and change nothing.
import { IothreadProperties, EventLoopBaseProperties, MainLoopProperties } from '../../qapi/index.ts';
import { keptValue, qomError, type QomClass, type QomObject } from '../qom-class.ts';

const INT_MAX = 2 ** 31 - 1;

/** @throws FdsetError for a negative value, with QEMU's text */
function refuseNegative(name: string, value: unknown): void {
  if ((value as number | bigint) < 0) throw qomError(`${name} value must be in range [0, 9223372036854775807]`);
}

/** Once an object is there, a bad pair of values is refused and kept all the same, as in QEMU. */
function checkThreadPool(object: QomObject): void {
  const min = keptValue(object, eventLoopBase, 'thread-pool-min') as number | bigint;
  const max = keptValue(object, eventLoopBase, 'thread-pool-max') as number | bigint;
  if (min > max || max > INT_MAX || Number(max) === 0) throw qomError('bad thread-pool-min/thread-pool-max values');
}

const eventLoopBase: QomClass = {
  name: 'event-loop-base',
  abstract: true,
  struct: EventLoopBaseProperties,
  defaults: { 'aio-max-batch': 0, 'thread-pool-min': 0, 'thread-pool-max': 64 },
  set(object, name, value) {
    refuseNegative(name, value);
    object.values.set(name, value);
    if (object.completed) checkThreadPool(object);
    return true;
  },
  complete: checkThreadPool,
};

export const iothread: QomClass = {
  name: 'iothread',
  parent: eventLoopBase,
  creatable: true,
  struct: IothreadProperties,
  defaults: { 'poll-max-ns': 32_768, 'poll-grow': 0, 'poll-shrink': 0 },
  set: (_, name, value) => refuseNegative(name, value),
};

export const mainLoop: QomClass = {
  name: 'main-loop',
  parent: eventLoopBase,
  creatable: true,
  struct: MainLoopProperties,
  complete(object, { objects }) {
    for (const other of objects) {
      if (other !== object && other.class === mainLoop) throw qomError('only one main-loop instance allowed');
    }
  },
};
