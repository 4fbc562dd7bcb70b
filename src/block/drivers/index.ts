// Which drivers are built? The list that blockdev-add looks names up in.
import type { BlockDriver } from '../driver.ts';
import { fileDriver } from './file.ts';
import { hostDeviceDriver } from './host-device.ts';
import { nullCoDriver } from './null-co.ts';
import { rawDriver } from './raw.ts';

/** The drivers by name. */
export const drivers: ReadonlyMap<string, BlockDriver> = new Map(
  [fileDriver, hostDeviceDriver, nullCoDriver, rawDriver].map((driver) => [driver.name, driver]),
);

/** In the order of the alphabet. */
export function driverNames(): string[] {
  return [...drivers.keys()].sort();
}
