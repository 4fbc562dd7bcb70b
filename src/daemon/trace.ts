// What does `--trace` do in a program without trace events? It is read as QEMU reads it, says of each event that it does
// not exist, and makes the empty file that a trace would go to.
import { closeSync, openSync, readFileSync } from 'node:fs';

import { strerror } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { parseQemuOpts } from '../qapi/index.ts';
import { deprecation, PlacedError, type Warn } from './program-messages.ts';

export const traceOptions = {
  impliedKey: 'enable',
  options: { enable: 'string', events: 'string', file: 'string' },
} as const;

/**
 * Carries out `--trace`.
 *
 * @throws FdsetError with QEMU's text
 */
export function applyTrace(value: string, warn: Warn): void {
  const { enable, events, file } = parseQemuOpts(traceOptions, value, deprecation(warn)).values;
  if (enable !== undefined) warnOf(enable, warn);
  if (events !== undefined) {
    for (const [index, line] of readLines(events).entries()) {
      if (line !== '' && !line.startsWith('#')) warnOf(line, (text) => warn(text, `${events}:${index + 1}`));
    }
  }
  if (file !== undefined) makeFile(file);
}

/** A leading minus turns events off; with a star any number of events is meant, none too. */
function warnOf(event: string, warn: (text: string) => void): void {
  const name = event.startsWith('-') ? event.slice(1) : event;
  if (!name.includes('*')) warn(`trace event '${name}' does not exist`);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    throw new PlacedError(path, reasonOf(error), error);
  }
}

function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'w'));
  } catch (error) {
    throw new FdsetError('ERR_FDSET_TRACE', `Error opening logfile ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  return strerror(-((error as NodeJS.ErrnoException).errno ?? 0));
}
