// How does a verb that has made folders, sockets or a process hear that it is to end? As a promise that it waits for
// beside whatever else it waits for, from before it makes the first: so an end at any moment leaves nothing behind.
import { CliError } from './cli-error.ts';

/**
 * Listens for SIGINT, SIGTERM and SIGHUP from now on. The promise rejects at the first; later ones change nothing, since
 * the verb is on its way out.
 */
export function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    const interrupt = (): void => reject(new CliError('interrupted'));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  });
  interrupted.catch(() => {}); // a verb that waits for nothing just now hears of it later
  return interrupted;
}
