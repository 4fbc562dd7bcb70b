// Background jobs. From QEMU's qapi/job.json.
import { array, command, enumeration, event, int, optional, str, struct } from '../builders.ts';
import type { Infer } from '../types.ts';

export const JobType = enumeration('JobType', [
  'commit',
  'stream',
  'mirror',
  'backup',
  'create',
  'amend',
  'snapshot-load',
  'snapshot-save',
  'snapshot-delete',
]);

export const JobStatus = enumeration('JobStatus', [
  'undefined',
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
]);

export const JobInfo = struct('JobInfo', {
  id: str,
  type: JobType,
  status: JobStatus,
  'current-progress': int,
  'total-progress': int,
  error: optional(str),
});
export type JobInfo = Infer<typeof JobInfo>;

export const queryJobs = command('query-jobs', { returns: array(JobInfo) });

export const jobStatusChange = event('JOB_STATUS_CHANGE', { data: { id: str, status: JobStatus } });
