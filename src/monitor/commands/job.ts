// The commands of QEMU's qapi/job.json that need nothing but the table of jobs.
import type { Infer } from '../../qapi/index.ts';
import { type JobInfo, queryJobs } from '../../qapi/schema/job.ts';
import type { CommandRegistry } from '../registry.ts';

/** @param jobs the program's jobs by id, oldest first */
export function registerJobCommands(registry: CommandRegistry, jobs: ReadonlyMap<string, Infer<typeof JobInfo>>): void {
  registry.register(queryJobs, () => [...jobs.values()].reverse());
}
