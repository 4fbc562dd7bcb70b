// Our client under load, for bench/client.ts: as many commands as it can, so many in flight.
//
//   node dist/bench/client-load.js SOCKET IN_FLIGHT SECONDS plain|fd       prints COMMANDS SECONDS CPU_SECONDS
import { closeSync, openSync } from 'node:fs';

import { QmpClient } from '../src/client/index.ts';

const [path = '', inFlight = '1', seconds = '1', kind = 'plain'] = process.argv.slice(2);
const client = await QmpClient.connect(path);
const fd = openSync('/dev/null', 'r');
let commands = 0;
let end = 0;

async function plain(): Promise<void> {
  while (performance.now() < end) {
    await client.execute('query-version');
    commands++;
  }
}

/** add-fd with an fd, then remove-fd of that very fd. */
async function withFd(): Promise<void> {
  const fds = [fd];
  while (performance.now() < end) {
    const added = (await client.execute('add-fd', {}, { fds })) as { 'fdset-id': number };
    await client.execute('remove-fd', { 'fdset-id': added['fdset-id'] });
    commands += 2;
  }
}

async function run(ms: number): Promise<void> {
  end = performance.now() + ms;
  await Promise.all(Array.from({ length: Number(inFlight) }, kind === 'fd' ? withFd : plain));
}

await run(200); // warm
commands = 0;
const cpu = process.cpuUsage();
const begin = performance.now();
await run(Number(seconds) * 1000);
const taken = (performance.now() - begin) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(commands, taken, (user + system) / 1e6);
closeSync(fd);
await client.close();
