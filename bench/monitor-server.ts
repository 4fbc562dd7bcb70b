// The smallest server with a monitor, for bench/monitor.ts: fd sets, negotiation and quit on a Unix socket.
//
//   node dist/bench/monitor-server.js SOCKET
import { SocketChardev } from '../src/chardev/index.ts';
import { FdsetTable } from '../src/fds/index.ts';
import {
  CommandRegistry,
  createMonitorShared,
  Monitor,
  PROFILE_10_0,
  registerControlCommands,
  registerFdCommands,
} from '../src/monitor/index.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: node dist/bench/monitor-server.js SOCKET');

const fdsets = new FdsetTable();
const registry = new CommandRegistry();
registerControlCommands(registry, { profile: PROFILE_10_0, onQuit: () => void close() });
registerFdCommands(registry, fdsets);
const monitor = new Monitor(new SocketChardev('c0', { path }), createMonitorShared(registry));
process.once('SIGTERM', () => void close());

async function close(): Promise<void> {
  await monitor.close();
  fdsets[Symbol.dispose]();
}
