// What does each option of the storage daemon do? The options that are carried out in order, one function each. A
// failure has the same text as the QMP command that does the same.
import { chardevBackends } from '../chardev/index.ts';
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import { Monitor } from '../monitor/index.ts';
import { addFdOptions, asInt64, parseQemuOpts, visitOption } from '../qapi/index.ts';
import { BlockdevOptions } from '../qapi/schema/blockdev-options.ts';
import { BlockExportOptions, NbdServerOptions } from '../qapi/schema/block-export.ts';
import { MonitorOptions } from '../qapi/schema/control.ts';
import { startNbdServer } from './commands/nbd.ts';
import { withOptionText } from './option-text.ts';
import type { Option, OptionName } from './options.ts';
import type { StorageDaemon } from './storage-daemon.ts';

type Apply = (daemon: StorageDaemon, value: string) => void | Promise<void>;

const appliers: Partial<Record<OptionName, Apply>> = {
  'add-fd': addFd,
  blockdev: (daemon, value) => daemon.graph.blockdevAdd(visitOption(BlockdevOptions, value, 'driver')),
  chardev: addChardev,
  export: (daemon, value) => daemon.exports.add(visitOption(BlockExportOptions, value, 'type')),
  monitor: addMonitor,
  'nbd-server': (daemon, value) =>
    startNbdServer(daemon.exports, visitOption(NbdServerOptions, value), (str) =>
      daemon.inheritedFds.take(Number(str)),
    ),
  object: () => {
    throw new FdsetError('ERR_FDSET_OPTION', 'objects are not there yet: leave --object out');
  },
};

/**
 * Carries out one option.
 *
 * @throws FdsetError with the option as typed in front, as qemu-storage-daemon prints it
 */
export async function applyOption(daemon: StorageDaemon, option: Option): Promise<void> {
  await withOptionText(option, () => appliers[option.name]!(daemon, option.value));
}

function addFd(daemon: StorageDaemon, value: string): void {
  const { fd, set, opaque } = parseQemuOpts(addFdOptions, value).values;
  if (fd === undefined || asInt64(fd) < 0) throw optionError('fd option is required and must be non-negative');
  if (fd <= 2) throw optionError('fd cannot be a standard I/O stream');
  const inherited = daemon.inheritedFds.get(Number(fd));
  if (set === undefined || asInt64(set) < 0) throw optionError('set option is required and must be non-negative');
  const member = inherited.dup();
  daemon.fdsets.add(member, { fdsetId: asInt64(set), opaque, addedBy: { commandLine: true } });
}

async function addChardev(daemon: StorageDaemon, text: string): Promise<void> {
  const warnings = await daemon.chardevs.addByOption(text, (str) => inheritedSocket(daemon, str));
  if (warnings === undefined) throw optionError(`the kinds of devices are ${chardevBackends.join(', ')}`);
  for (const warning of warnings)
    process.stderr.write(`fdset-storage-daemon: --chardev ${text}: warning: ${warning}\n`);
}

function inheritedSocket(daemon: StorageDaemon, str: string): OwnedFd {
  if (!/^\d{1,9}$/.test(str)) throw optionError(`Unable to parse FD number ${str}`);
  if (Number(str) <= 2) throw optionError(`File descriptor '${str}' is not a socket`);
  return daemon.inheritedFds.take(Number(str));
}

function addMonitor(daemon: StorageDaemon, text: string): void {
  const options = visitOption(MonitorOptions, text, 'chardev');
  if ((options.mode ?? 'control') !== 'control') throw optionError('Only QMP is supported');
  const chardev = daemon.chardevs.get(options.chardev);
  if (!chardev) throw optionError(`chardev "${options.chardev}" not found`);
  const { id = chardev.id, pretty = false } = options;
  daemon.monitors.push(new Monitor(chardev, daemon.shared, { id, pretty }));
}

function optionError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_OPTION', message);
}
