// What does a test see of a machine that is not there? Its run state and a few commands.
import type { StorageDaemon } from '../../../src/daemon/storage-daemon.ts';
import { FdsetError } from '../../../src/errors.ts';
import { any, array, bool, command, enumeration, event, int, optional, str, struct } from '../../../src/qapi/index.ts';

const RunState = enumeration('RunState', ['prelaunch', 'running']);
const StatusInfo = struct('StatusInfo', { running: bool, status: RunState });
const NameInfo = struct('NameInfo', { name: optional(str) });
const CpuInfoFast = struct('CpuInfoFast', { 'cpu-index': int });
const resume = event('RESUME');

export interface MachineOptions {
  /** Before the machine is made, only commands that need none are allowed. */
  readonly preconfig: boolean;
  readonly stopped: boolean;
}

/** Adds the commands of a machine to a daemon. */
export function addMachine({ registry, shared }: StorageDaemon, options: MachineOptions): void {
  let { preconfig } = options;
  let status: 'prelaunch' | 'running' = preconfig || options.stopped ? 'prelaunch' : 'running';
  registry.declareEvent(resume);
  registry.register(command('query-status', { returns: StatusInfo }), () => ({
    status,
    running: status === 'running',
  }));
  registry.register(command('query-name', { returns: NameInfo }), () => ({}));
  registry.register(command('query-cpus-fast', { returns: array(CpuInfoFast) }), () => {
    if (preconfig) throw refusal('there are no processors before there is a machine');
    return [];
  });
  registry.register(command('x-exit-preconfig'), () => {
    if (!preconfig) throw refusal('the machine is there already');
    preconfig = false;
    status = 'running';
    shared.events.broadcast(resume, undefined);
  });
  const line = { data: { 'command-line': str, 'cpu-index': optional(int) }, returns: str };
  registry.register(command('human-monitor-command', line), () => '');
  registry.register(command('migrate-pause', { allowOob: true }), () => {
    throw refusal('there is no migration to pause');
  });
  if (registry.find('qom-set') !== undefined) return;
  registry.register(command('qom-set', { data: { path: str, property: str, value: any } }), () => {
    throw refusal('there are no objects');
  });
}

function refusal(message: string): FdsetError {
  return new FdsetError('ERR_TEST', message);
}
