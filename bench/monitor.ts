// How many fd commands a second does the monitor answer, beside QEMU's own and beside a C server that only echoes? And
// how does it grow with the number of sets?
//
//   npm run bench:monitor [-- --rounds 5 --seconds 1 --sets 19000 --json]
//
// One connection, add-fd and remove-fd in turn, 1 and 64 in flight; each request with an fd, or only those of add-fd, as
// a client has it. The servers take turns in every round, so that what else the machine does hits all of them; the tables
// have the medians. Read the ratios: figures of a shared machine mean nothing by themselves.
//
// With one request in flight only one of client and server ever runs. On two idle CPUs that measures how long the machine
// takes to wake one, the same for every server; so these rows are also run with both on one CPU, where the work counts.
//
// What a ratio to the C server can be at best the column `sockets` says: Node and src/socket/ alone, without JSON and
// commands. Needs cc, bash and taskset; a QEMU that is not there is left out.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { FDSET, type ServerKind, serverKinds } from './monitor-servers.ts';
import { compile, machine, median, Server } from './servers.ts';

interface Test {
  /** Where client and server run. */
  readonly on: 'all CPUs' | 'one CPU';
  readonly depth: number;
  /** Which requests carry an fd. */
  readonly carriers: 'every' | 'add';
}

interface Result {
  readonly rates: number[];
  /** Microseconds of the server's processor time for a command. */
  readonly costs: number[];
}

const TESTS: readonly Test[] = [1, 64].flatMap((depth) =>
  (['every', 'add'] as const).flatMap((carriers) =>
    (['all CPUs', 'one CPU'] as const).map((on) => ({ on, depth, carriers })),
  ),
);

/** The least that fdset shall do against the others; see the comment above for where one in flight is judged. */
function budget(server: string, { on, depth }: Test): number | undefined {
  if ((depth === 1) !== (on === 'one CPU')) return undefined;
  if (server.startsWith('QEMU')) return depth === 1 ? 15 : 75;
  if (server === 'C echo') return depth === 1 ? 0.65 : 0.75;
  return undefined;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    sets: { type: 'string', default: '19000' },
    json: { type: 'boolean', default: false },
  },
});
const load = compile('qmp-load');
const allCpus = `0-${cpus().length - 1}`;
const dir = mkdtempSync(join(tmpdir(), 'fdset-bench-'));
const servers: Server<ServerKind>[] = [];
try {
  for (const [index, kind] of serverKinds().entries()) servers.push(await Server.start(kind, join(dir, `${index}`)));
  const results = measureAll();
  const growth = measureGrowth();
  if (values.json) console.log(JSON.stringify({ machine: machine(), results: [...results], growth }));
  else print(results, growth);
} finally {
  for (const server of servers) server.stop();
  rmSync(dir, { recursive: true });
}

// --- commands a second ---

function measureAll(): Map<string, Result> {
  const results = new Map<string, Result>();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const test of TESTS) {
      for (const server of servers) add(results, keyOf(server.kind.name, test), measure(server, test));
    }
  }
  return results;
}

function add(results: Map<string, Result>, key: string, { rate, cost }: { rate: number; cost: number }): void {
  const result = results.get(key) ?? { rates: [], costs: [] };
  result.rates.push(rate);
  result.costs.push(cost);
  results.set(key, result);
}

function measure(server: Server<ServerKind>, { on, depth, carriers }: Test): { rate: number; cost: number } {
  const pinned = on === 'one CPU' ? '0' : allCpus;
  server.pin(pinned);
  const before = server.processorTime;
  const what = [server.socket, String(depth), values.seconds, server.kind.qmp ? 'qmp' : 'echo', carriers];
  const { answered, seconds } = runLoad(pinned, what);
  return { rate: answered / seconds, cost: (server.processorTime - before) / answered };
}

function runLoad(pinned: string, args: readonly string[]): { answered: number; seconds: number } {
  const printed = execFileSync('taskset', ['-c', pinned, load, ...args], { encoding: 'utf8' });
  const [answered, seconds] = printed.split(' ').map(Number) as [number, number];
  return { answered, seconds };
}

// --- many sets ---

interface Growth {
  readonly name: string;
  readonly sets: number;
  /** Milliseconds of one query-fdsets. */
  readonly query: number;
  /** add-fd and remove-fd a second with so many sets and before there were any, 64 in flight, fds with add-fd. */
  readonly rate: number;
  readonly rateBefore: number;
}

function measureGrowth(): Growth[] {
  const sets = Number(values.sets);
  if (sets === 0) return [];
  return (
    servers
      // QEMU 7.2 drops its sets when the client that made them leaves.
      .filter(({ kind }) => kind.qmp && kind.name !== 'QEMU 7.2')
      .map((server) => {
        const test: Test = { on: 'all CPUs', depth: 64, carriers: 'add' };
        const rateBefore = measure(server, test).rate;
        runLoad(allCpus, [server.socket, '64', String(sets), 'grow']);
        const { answered, seconds } = runLoad(allCpus, [server.socket, '1', '2', 'query']);
        const { rate } = measure(server, test);
        return { name: server.kind.name, sets, query: (seconds / answered) * 1000, rate, rateBefore };
      })
  );
}

// --- output ---

function print(results: ReadonlyMap<string, Result>, growth: readonly Growth[]): void {
  console.log(machine());
  console.log(`\nadd-fd + remove-fd, commands a second, median of ${values.rounds} rounds of ${values.seconds} s`);
  console.table(TESTS.map((test) => rateRow(results, test)));
  console.log("\nfdset's rate as a multiple (budget)");
  console.table(TESTS.map((test) => ratioRow(results, test)));
  console.log("\nthe server's processor time for a command, microseconds");
  console.table(TESTS.map((test) => costRow(results, test)));
  if (growth.length > 0) printGrowth(growth);
}

type Row = Record<string, string | number>;

function rateRow(results: ReadonlyMap<string, Result>, test: Test): Row {
  const row = rowOf(test);
  for (const { kind } of servers) row[kind.name] = Math.round(median(resultOf(results, kind.name, test).rates));
  return row;
}

function ratioRow(results: ReadonlyMap<string, Result>, test: Test): Row {
  const row = rowOf(test);
  const ours = median(resultOf(results, FDSET.name, test).rates);
  for (const { kind } of servers.slice(1)) {
    const ratio = (ours / median(resultOf(results, kind.name, test).rates)).toFixed(2);
    const least = budget(kind.name, test);
    row[kind.name] = least === undefined ? ratio : `${ratio} (${least})`;
  }
  return row;
}

function costRow(results: ReadonlyMap<string, Result>, test: Test): Row {
  const row = rowOf(test);
  for (const { kind } of servers) row[kind.name] = median(resultOf(results, kind.name, test).costs).toFixed(2);
  return row;
}

function printGrowth(growth: readonly Growth[]): void {
  const ours = growth[0]?.query ?? Number.NaN;
  console.log('\nwith many sets: one query-fdsets, and what add-fd + remove-fd lose');
  console.table(
    growth.map(({ name, sets, query, rate, rateBefore }) => ({
      server: name,
      sets,
      'query-fdsets, ms': query.toFixed(2),
      "fdset's multiple": name === FDSET.name ? '' : `${(query / ours).toFixed(1)} (15)`,
      'before, /s': Math.round(rateBefore),
      'with them, /s': Math.round(rate),
      'slower by': (rateBefore / rate).toFixed(2) + (name === FDSET.name ? ' (at most 1.3)' : ''),
    })),
  );
}

function rowOf({ on, depth, carriers }: Test): Row {
  return { 'in flight': depth, 'fd with': carriers, on };
}

function keyOf(server: string, { on, depth, carriers }: Test): string {
  return `${server}, ${depth} in flight, fd with ${carriers}, ${on}`;
}

function resultOf(results: ReadonlyMap<string, Result>, server: string, test: Test): Result {
  return results.get(keyOf(server, test)) ?? { rates: [], costs: [] };
}
