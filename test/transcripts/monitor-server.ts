// A server with monitors and fd sets but without disks, started by the options of the storage daemon: what the
// transcripts are replayed against while there is no storage daemon.
import { SocketChardev } from '../../src/chardev/index.ts';
import { parseCommandLine } from '../../src/daemon/options.ts';
import { FdsetTable } from '../../src/fds/index.ts';
import {
  CommandRegistry,
  createMonitorShared,
  Monitor,
  PROFILE_10_0,
  registerControlCommands,
  registerFdCommands,
  registerIntrospectCommands,
  registerJobCommands,
} from '../../src/monitor/index.ts';
import { chardevOptions, MonitorOptions, parseQemuOpts, visitOption } from '../../src/qapi/index.ts';

const registry = new CommandRegistry();
const fdsets = new FdsetTable();
const shared = createMonitorShared(registry);
const chardevs = new Map<string, SocketChardev>();
const monitors: Monitor[] = [];

registerControlCommands(registry, { profile: PROFILE_10_0, onQuit: () => void close() });
registerFdCommands(registry, fdsets);
registerIntrospectCommands(registry);
registerJobCommands(registry, new Map());

for (const { name, value, text } of parseCommandLine(process.argv.slice(2)).inOrder) {
  if (name === 'chardev') addChardev(value);
  else if (name === 'monitor') addMonitor(value);
  else throw new Error(`this server has no disks: ${text}`);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void close());

function addChardev(text: string): void {
  const { id = '', values } = parseQemuOpts(chardevOptions, text);
  chardevs.set(id, new SocketChardev(id, { path: values.path ?? '' }));
}

function addMonitor(text: string): void {
  const { chardev: id, pretty = false } = visitOption(MonitorOptions, text, 'chardev');
  const chardev = chardevs.get(id);
  if (chardev === undefined) throw new Error(`chardev "${id}" not found`);
  monitors.push(new Monitor(chardev, shared, { pretty }));
}

async function close(): Promise<void> {
  await Promise.all(monitors.map((monitor) => monitor.close()));
  fdsets[Symbol.dispose]();
}
