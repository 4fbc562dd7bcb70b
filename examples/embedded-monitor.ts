// A program of your own that is handed files over QMP: it counts the lines of each, and tells its clients.
//
//   node dist/examples/embedded-monitor.js /run/user/1000/lines.sock
//   fdset add /run/user/1000/lines.sock README.md --mode r       # the fd commands of QEMU are there, too
import { createReadStream } from 'node:fs';
import { command, event, int, Monitor, str, struct } from 'fdset/monitor';

const countLines = command('x-count-lines', { data: { name: str }, returns: struct('XLines', { lines: int }) });
const counted = event('X_COUNTED', { data: { name: str, lines: int } });

const monitor = new Monitor({ onQuit: () => void monitor.close() });
monitor.event(counted);
monitor.command(countLines, async ({ name }, call) => {
  let lines = 0;
  // The stream owns the fd from now on, and closes it.
  const stream = createReadStream('', { fd: call.fd().move() });
  for await (const chunk of stream as AsyncIterable<Buffer>) lines += chunk.toString('latin1').split('\n').length - 1;
  monitor.emit(counted, { name, lines });
  return { lines };
});
await monitor.listen(process.argv[2] ?? 'lines.sock');
console.log('ready');
