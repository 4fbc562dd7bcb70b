// How long is what the user gave as a time?
import { InvalidArgumentError } from 'commander';

/** Seconds, more than 0, at most eleven days. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && seconds > 0 && seconds <= 1e6) return seconds;
  throw new InvalidArgumentError('give a number of seconds');
}
