// What does a shell do whose input is no terminal? It runs the lines in order, and ends at the first that fails.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

import { FdsetError } from '../errors.ts';
import type { Interpreter } from './interpreter.ts';
import { isOpen } from './terminal.ts';

/** The line that ended a script. */
export class ScriptError extends FdsetError {
  readonly line: number;

  constructor(line: number, cause: Error) {
    super('ERR_FDSET_SCRIPT', `line ${line}: ${cause.message}`, { cause });
    this.line = line;
  }
}

/** @throws ScriptError the first line that fails */
export async function runScript(input: Readable, interpreter: Interpreter): Promise<void> {
  const never = new AbortController().signal;
  let number = 0;
  let first = 1;
  let begun = '';
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    number++;
    if (begun === '') first = number;
    begun = begun === '' ? line : `${begun}\n${line}`;
    if (isOpen(begun)) continue;
    const whole = begun;
    begun = '';
    if (!(await runLine(interpreter, whole, first, never))) return;
  }
  if (begun !== '') throw new ScriptError(first, new Error('a bracket or a quote is open at the end of the input'));
}

async function runLine(interpreter: Interpreter, line: string, number: number, signal: AbortSignal): Promise<boolean> {
  try {
    return await interpreter.run(line, signal);
  } catch (error) {
    throw new ScriptError(number, error as Error);
  }
}
