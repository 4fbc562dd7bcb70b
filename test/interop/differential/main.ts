// `npm run differential -- --minutes N --seed S [--against 7.2|10.0] [--lanes N]`: random scripts on real QEMU and on ours until the
// time is over, or until one is answered differently, which is shrunk and shown.
import { parseArgs } from 'node:util';
import { qemuVersions, type QemuVersion } from '../../qemu-versions.ts';
import { COMMANDS } from './arbitrary-commands.ts';
import { Comparison } from './harness.ts';
import { Histogram } from './histogram.ts';
import { fdset, qemu } from './server.ts';

/** Scripts of one seed; the next ones get the next seed. */
const BATCH = 500;

const parsed = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    against: { type: 'string', default: '10.0' },
    lanes: { type: 'string', default: '3' },
  },
});
const version = qemuVersions.find(({ name }) => name === parsed.values.against);
if (version === undefined) throw new Error(`--against ${parsed.values.against}: 7.2 or 10.0`);
if (version.missing !== false) throw new Error(version.missing);

const { values: texts } = parsed;
const lanes = Number(texts.lanes);
const until = Date.now() + Number(texts.minutes) * 60_000;
const started = Date.now();
const histogram = new Histogram();
const differences: { seed: number; text: string }[] = [];
const enough = (): boolean => Date.now() > until || differences.length > 0;
let nextSeed = Number(texts.seed);
let scripts = 0;
let onPurpose = 0;

/** Two servers of their own, and one seed after the other. */
async function lane(version: QemuVersion): Promise<void> {
  const comparison = await Comparison.start(qemu(version), fdset(version), histogram);
  try {
    while (!enough()) {
      const seed = nextSeed++;
      const difference = await comparison.compare(seed, BATCH, { enough });
      if (difference !== undefined) differences.push({ seed, text: difference.text });
    }
  } finally {
    scripts += comparison.scripts;
    onPurpose += comparison.differentOnPurpose;
    await comparison.end();
  }
}

await Promise.all(Array.from({ length: lanes }, () => lane(version)));
const rate = Math.round((1000 * histogram.total) / (Date.now() - started));
console.log(
  `${histogram.toString()}\n${scripts} scripts (${onPurpose} different on purpose), ${rate} commands per second, seeds ${texts.seed} to ${nextSeed - 1}`,
);
for (const { seed, text } of differences) console.log(`\na difference with seed ${seed}, shrunk:\n${text}`);
const complaints = differences.length > 0 ? [] : histogram.complaints(COMMANDS);
for (const complaint of complaints) console.log(`too tame: ${complaint}`);
if (differences.length === 0) console.log(`no difference from QEMU ${version.name}`);
process.exitCode = differences.length + complaints.length > 0 ? 1 : 0;
