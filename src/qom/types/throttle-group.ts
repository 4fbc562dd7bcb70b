// The object throttle-group: limits of requests and bytes per second that nodes share. What is a valid set of limits is
// said here, in QEMU's order and words.
import { ThrottleGroupProperties, ThrottleLimits, throttleLimitNames } from '../../qapi/index.ts';
import { qomError, type QomClass, type QomObject } from '../qom-class.ts';

const UINT32_MAX = 0xffff_ffff;
const HIGHEST = 1_000_000_000_000_000n;

type LimitName = (typeof throttleLimitNames)[number];
/** All limits, each an unsigned integer of 64 bits. */
type Limits = Readonly<Record<LimitName, bigint>>;

/** In the order in which they are checked. */
const buckets = ['bps-total', 'bps-read', 'bps-write', 'iops-total', 'iops-read', 'iops-write'] as const;

const unlimited = Object.fromEntries(throttleLimitNames.map((name) => [name, isLength(name) ? 1n : 0n])) as Limits;

/** Its content is its limits. */
export const throttleGroup: QomClass = {
  name: 'throttle-group',
  creatable: true,
  struct: ThrottleGroupProperties,
  get(object, name) {
    const limits = limitsOf(object);
    return name === 'limits' ? { ...limits } : limits[name.slice(2) as LimitName];
  },
  set(object, name, value) {
    if (name === 'limits') object.content = merged(limitsOf(object), value as ThrottleLimits);
    else setUnstable(object, name, BigInt(value as number | bigint));
    return true;
  },
  complete: (object) => checkLimits(limitsOf(object)),
};

function limitsOf({ content }: QomObject): Limits {
  return (content as Limits | undefined) ?? unlimited;
}

/** @throws FdsetError where the outcome is no valid set of limits; then nothing has changed */
function merged(limits: Limits, given: ThrottleLimits): Limits {
  const result: Record<LimitName, bigint> = { ...limits };
  for (const name of throttleLimitNames) {
    const value = given[name];
    if (value === undefined) continue;
    if (isLength(name) && value > UINT32_MAX) {
      throw qomError(`${name} value must be in the range [0, ${UINT32_MAX}]`);
    }
    result[name] = BigInt.asUintN(64, BigInt(value));
  }
  checkLimits(result);
  return result;
}

/** One of the properties `x-…`, which can be set only while the object is being made. */
function setUnstable(object: QomObject, name: string, value: bigint): void {
  if (object.completed) throw qomError('Property cannot be set after initialization');
  if (value < 0) throw qomError('Property values cannot be negative');
  const limit = name.slice(2) as LimitName;
  // The missing space is QEMU's.
  if (isLength(limit) && value > UINT32_MAX) throw qomError(`${name} value must be in therange [0, ${UINT32_MAX}]`);
  object.content = { ...limitsOf(object), [limit]: value };
}

function isLength(name: string): boolean {
  return name.endsWith('-length');
}

function checkLimits(limits: Limits): void {
  for (const kind of ['bps', 'iops'] as const) {
    for (const suffix of ['', '-max'] as const) {
      const parts = limits[`${kind}-read${suffix}`] || limits[`${kind}-write${suffix}`];
      if (limits[`${kind}-total${suffix}`] && parts) {
        throw qomError('bps/iops/max total values and read/write values cannot be used at the same time');
      }
    }
  }
  if (limits['iops-size'] && !limits['iops-total'] && !limits['iops-read'] && !limits['iops-write']) {
    throw qomError('iops size requires an iops value to be set');
  }
  for (const bucket of buckets) checkBucket(limits[bucket], limits[`${bucket}-max`], limits[`${bucket}-max-length`]);
}

function checkBucket(average: bigint, burst: bigint, burstLength: bigint): void {
  if (average > HIGHEST || burst > HIGHEST) throw qomError(`bps/iops/max values must be within [0, ${HIGHEST}]`);
  if (burstLength === 0n) throw qomError('the burst length cannot be 0');
  if (burstLength > 1n && burst === 0n) throw qomError('burst length set without burst rate');
  if (burst === 0n) return;
  if (burstLength > HIGHEST / burst) throw qomError('burst length too high for this burst rate');
  if (average === 0n) throw qomError('bps_max/iops_max require corresponding bps/iops values');
  if (burst < average) throw qomError('bps_max/iops_max cannot be lower than bps/iops');
}
