// What does a test see of a machine that is not there? Its run state and a few commands.
import type { StorageDaemon } from '../../../src/daemon/storage-daemon.ts';
import { FdsetError } from '../../../src/errors.ts';
import { any, array, bool, command, enumeration, event, int, optional, str, struct } from '../../../src/qapi/index.ts';

const RunState = enumeration('RunState', ['prelaunch', 'paused', 'running']);
const StatusInfo = struct('StatusInfo', { running: bool, status: RunState });
const NameInfo = struct('NameInfo', { name: optional(str) });
const CpuInfoFast = struct('CpuInfoFast', { 'cpu-index': int });
const resume = event('RESUME');

/** Adds the commands of a machine to a daemon. */
export class Machine {
  #state: 'prelaunch' | 'paused' | 'running';
  /** Before the machine is made, only commands that need none are allowed. */
  #preconfig: boolean;

  constructor({ registry, shared }: StorageDaemon, preconfig: boolean, stopped: boolean) {
    this.#preconfig = preconfig;
    this.#state = preconfig || stopped ? 'prelaunch' : 'running';
    registry.declareEvent(resume);
    registry.register(command('query-status', { returns: StatusInfo }), () => ({
      status: this.#state,
      running: this.#state === 'running',
    }));
    registry.register(command('query-name', { returns: NameInfo }), () => ({}));
    registry.register(command('query-cpus-fast', { returns: array(CpuInfoFast) }), () => {
      if (this.#preconfig)
        throw new FdsetError('ERR_TEST', 'The command is permitted only after machine initialization has completed');
      return [];
    });
    registry.register(command('x-exit-preconfig'), () => {
      if (!this.#preconfig)
        throw new FdsetError('ERR_TEST', 'The command is permitted only before machine initialization');
      this.#preconfig = false;
      this.#state = 'running';
      shared.events.broadcast(resume, undefined);
    });
    const line = { data: { 'command-line': str, 'cpu-index': optional(int) }, returns: str };
    registry.register(command('human-monitor-command', line), () => '');
    registry.register(command('migrate-pause', { allowOob: true }), () => {
      throw new FdsetError('ERR_TEST', 'migrate-pause is only for a migration, and there is none');
    });
    if (registry.find('qom-set') !== undefined) return;
    registry.register(command('qom-set', { data: { path: str, property: str, value: any } }), () => {
      throw new FdsetError('ERR_TEST', 'there are no objects');
    });
  }
}
