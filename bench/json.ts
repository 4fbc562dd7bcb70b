// What does a QMP request cost to read, and a reply to print? In nanoseconds each, best of several rounds, against
// JSON.parse and JSON.stringify, which read and print another dialect. Run: node dist/bench/json.js
import { JsonStreamer } from '../src/json/index.ts';
import { encodeReturn, parseRequest } from '../src/qmp/index.ts';

const ROUNDS = 9;
const BATCH = 64;
let kept: unknown; // so that no result is unused

/** Runs about 100,000 messages per round, and prints the time per message of the best one. */
function measure(name: string, messagesPerRun: number, run: () => void): void {
  let best = Infinity;
  const runs = Math.ceil(100_000 / messagesPerRun);
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < runs; i++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / (runs * messagesPerRun));
  }
  console.log(`${name.padEnd(48)} ${best.toFixed(0).padStart(5)} ns`);
}

const request = '{"execute":"add-fd","arguments":{"fdset-id":1,"opaque":"x"},"id":1234}';
const spacedRequest = '{"execute": "add-fd", "arguments": {"fdset-id": 1, "opaque": "x"}, "id": "libvirt-1234"}\r\n';
const one = Buffer.from(request);
const batch = Buffer.from(request.repeat(BATCH));
const spaced = Buffer.from(spacedRequest.repeat(BATCH));
const values = new JsonStreamer((value) => (kept = value));
const requests = new JsonStreamer((value) => (kept = parseRequest(value as never, { oob: false })));

measure('read a request, one per chunk', 1, () => values.push(one));
measure('read a request, 64 per chunk', BATCH, () => values.push(batch));
measure('read and check a request, 64 per chunk', BATCH, () => requests.push(batch));
measure('read and check one with spaces, 64 per chunk', BATCH, () => requests.push(spaced));
measure('JSON.parse of the first', 1, () => (kept = JSON.parse(one.toString('latin1'))));

let id = 0;
const sets = Array.from({ length: 19_000 }, (_, i) => ({ fds: [{ fd: i + 10, opaque: 'disk' }], 'fdset-id': i }));
const out = Buffer.alloc(2 * 1024 * 1024);
measure('print a reply of add-fd', 1, () => (kept = encodeReturn({ fd: 12, 'fdset-id': id & 7 }, id++ & 4095)));
measure('print an empty reply', 1, () => (kept = encodeReturn(undefined, id++ & 4095)));
measure('print query-fdsets, per set', sets.length, () => (kept = out.write(encodeReturn(sets), 'latin1')));
measure('JSON.stringify of the same, per set', sets.length, () => (kept = out.write(JSON.stringify(sets), 'latin1')));
if (kept === undefined) throw new Error('nothing was measured');
