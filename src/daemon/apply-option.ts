// What does each option of the storage daemon do? The options that are carried out in order, one function each. A
// failure has the same text as the QMP command that does the same.
import { FdsetError } from '../errors.ts';
import { Monitor } from '../monitor/index.ts';
import { addFdOptions, asInt64, parseQemuOpts, visitOption } from '../qapi/index.ts';
import { BlockdevOptions } from '../qapi/schema/blockdev-options.ts';
import { BlockExportOptions, NbdServerOptions } from '../qapi/schema/block-export.ts';
import { MonitorOptions } from '../qapi/schema/control.ts';
import { ObjectOptions } from '../qapi/schema/qom.ts';
import { startNbdServer } from './commands/nbd.ts';
import { type Answer, answerTo } from './option-answer.ts';
import { withOptionText } from './option-text.ts';
import type { Option } from './options.ts';
import { deprecation, type ProgramMessages, type Warn } from './program-messages.ts';
import type { StorageDaemon } from './storage-daemon.ts';
import { applyTrace } from './trace.ts';

type Apply = (daemon: StorageDaemon, value: string, warn: Warn) => void | Promise<void>;

const appliers: Partial<Record<Option['name'], Apply>> = {
  'add-fd': addFd,
  blockdev: (daemon, value) => daemon.graph.blockdevAdd(visitOption(BlockdevOptions, value, 'driver')),
  chardev: addChardev,
  export: (daemon, value) => daemon.exports.add(visitOption(BlockExportOptions, value, 'type')),
  monitor: addMonitor,
  'nbd-server': (daemon, value) =>
    startNbdServer(daemon.exports, visitOption(NbdServerOptions, value), (str) => daemon.inheritedFds.takeSocket(str)),
  object: (daemon, value) => daemon.objects.add(visitOption(ObjectOptions, value, 'qom-type')),
  trace: (_, value, warn) => applyTrace(value, warn),
  unexpected: () => {
    throw optionError('Unexpected argument');
  },
};

/**
 * Carries out one option.
 *
 * @returns what to print where it asks for help; then the program ends
 * @throws FdsetError with the option as typed in front, as qemu-storage-daemon prints it
 */
export function applyOption(
  daemon: StorageDaemon,
  option: Option,
  messages: ProgramMessages,
): Promise<Answer | undefined> {
  return withOptionText(option, async () => {
    const answer = answerTo(option);
    if (answer === undefined) await appliers[option.name]!(daemon, option.value, messages.of(option));
    return answer;
  });
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

function addChardev(daemon: StorageDaemon, text: string, warn: Warn): Promise<void> {
  return daemon.chardevs.addByOption(text, (str) => daemon.inheritedFds.takeSocket(str), deprecation(warn));
}

function addMonitor(daemon: StorageDaemon, text: string): void {
  const options = visitOption(MonitorOptions, text, 'chardev');
  const chardev = daemon.chardevs.get(options.chardev);
  if (!chardev) throw optionError(`chardev "${options.chardev}" not found`);
  if ((options.mode ?? 'control') !== 'control') throw optionError('Only QMP is supported');
  const { id = chardev.id, pretty = false } = options;
  daemon.monitors.push(new Monitor(chardev, daemon.shared, { id, pretty }));
}

function optionError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_OPTION', message);
}
