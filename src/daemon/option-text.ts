// How does an option that failed name itself? `--blockdev driver=x: TEXT`, as qemu-storage-daemon prints it.
import { FdsetError } from '../errors.ts';
import type { Option } from './options.ts';
import { PlacedError } from './program-messages.ts';

/** Runs what an option asks for; an error gets the option as typed in front. */
export async function withOptionText<T>(option: Option, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof FdsetError) || error instanceof PlacedError) throw error;
    throw new FdsetError(error.code, `${option.text}: ${error.message}`, { cause: error });
  }
}
