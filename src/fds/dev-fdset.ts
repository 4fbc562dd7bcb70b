// Is this file name an fd set? QEMU's syntax of /dev/fdset/N.
import { notAnFdset } from './fdset-errors.ts';

const prefix = '/dev/fdset/';
const maxId = 2 ** 31 - 1;

/**
 * The id in `/dev/fdset/N`; undefined for any other file name. The prefix is meant literally (`/dev//fdset/1` is an
 * ordinary path), the number is what C's strtol takes for a decimal int: white space, a sign and zeros may precede it.
 * @throws FdsetError `Could not parse fdset …`: the prefix, but no number from 0 to 2147483647 behind it
 */
export function parseDevFdset(filename: string): number | undefined {
  if (!filename.startsWith(prefix)) return undefined;
  const text = filename.slice(prefix.length);
  const id = /^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (id >= 0 && id <= maxId) return Math.abs(id); // -0 is 0
  throw notAnFdset(filename);
}
