// What does each option of the storage daemon do? The options that are carried out in order, one function each. A
// failure has the same text as the QMP command that does the same.
import { type Chardev, SocketChardev } from '../chardev/index.ts';
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import { Monitor } from '../monitor/index.ts';
import { addFdOptions, asInt64, chardevOptions, parseQemuOpts, visitOption } from '../qapi/index.ts';
import { BlockdevOptions } from '../qapi/schema/blockdev-options.ts';
import { BlockExportOptions, NbdServerOptions } from '../qapi/schema/block-export.ts';
import { MonitorOptions } from '../qapi/schema/control.ts';
import type { SocketAddress } from '../qapi/schema/sockets.ts';
import { startNbdServer } from './commands/nbd.ts';
import { listenOn } from './listen-address.ts';
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
  const { id, values } = parseQemuOpts(chardevOptions, text);
  if (id === undefined) throw optionError('chardev: no id specified');
  if (daemon.chardevs.has(id)) {
    throw optionError(`attempt to add duplicate property '${id}' to object (type 'container')`);
  }
  daemon.chardevs.set(id, await makeChardev(daemon, id, values));
}

type ChardevValues = ReturnType<typeof parseQemuOpts<(typeof chardevOptions)['options']>>['values'];

async function makeChardev(daemon: StorageDaemon, id: string, values: ChardevValues): Promise<Chardev> {
  if (values.backend === undefined) throw optionError('chardev: "' + id + '" missing backend');
  if (values.backend !== 'socket') {
    throw optionError(`chardev backend '${values.backend}' is not there yet: use socket with a path or fd`);
  }
  if (values.server !== true) throw optionError('a connecting socket is not there yet: give server=on');
  if (values.wait !== false) throw optionError('waiting for a client at the start is not there yet: give wait=off');
  const takeFd = (str: string): OwnedFd => daemon.inheritedFds.take(Number(str));
  const listener = await listenOn(chardevAddress(values), takeFd);
  return new SocketChardev(id, { listener }, { accepts: daemon.accepts });
}

function chardevAddress({ path, fd, host, abstract }: ChardevValues): SocketAddress {
  if (path !== undefined) return { type: 'unix', path, abstract };
  if (fd !== undefined) return { type: 'fd', str: fd };
  if (host !== undefined) throw optionError('a TCP monitor is not there yet: use path or fd');
  throw optionError('one of path and fd is needed');
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
