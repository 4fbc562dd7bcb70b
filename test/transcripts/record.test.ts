// Does recording a QEMU again give the same bytes, and does another version show up as a difference? A few fast scenarios
// of real QEMUs; `npm run record` takes them all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { isJsonObject, type JsonObject } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10, qemu7, type QemuVersion } from '../qemu-versions.ts';
import { listeningSocket } from './listening-socket.ts';
import { root } from './own-server.ts';
import { recordScenario } from './record.ts';
import { type ScenarioLines, scenariosOf, scriptOf, update } from './transcript-file.ts';
import { formatLine, parseLines } from './transcript-lines.ts';

checkOpenFds();

/** Answers with fds in texts and values, events, several lines, flags of fds, numbers beyond 2^53, an end of the server. */
const chosen = [
  'fdsets/fdset ids',
  'fdset-open/kinds of descriptors',
  'fdset-open/O_DIRECT and cache options',
  'framing/pretty=on',
  'negotiation/greeting and negotiation errors, system emulator',
  'monitors/quit, storage daemon',
];

function linesOf(name: string): ScenarioLines {
  const [topic = '', title] = name.split(/\/(.*)/);
  const text = readFileSync(join(root, 'test', 'fixtures', 'transcripts', `${topic}.jsonl`), 'utf8');
  const found = scenariosOf(parseLines(text)).find(({ header }) => header.get('scenario') === title);
  assert.ok(found, `no scenario ${name}`);
  return found;
}

const text = ({ steps }: ScenarioLines): string => steps.map(formatLine).join('');

async function record(name: string, lines: ScenarioLines, qemu: QemuVersion, variants: string[]): Promise<number[]> {
  const script = scriptOf(name.split('/', 1)[0]!, lines, variants);
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', '-S'];
  const isSystem = script.header.server === 'system';
  const command = isSystem ? [...qemu.command('qemu-system-x86_64'), ...machine] : qemu.command('qemu-storage-daemon');
  const recorded = await recordScenario(script, { command, listen: listeningSocket });
  update(lines, recorded, variants);
  return recorded.flatMap((fields, index) => (fields === undefined ? [] : [index + 1]));
}

function keepVariant(step: JsonObject, name: string): void {
  const variants = step.get('variants');
  if (!isJsonObject(variants)) return;
  for (const other of variants.keys()) if (other !== name) variants.delete(other);
  if (variants.size === 0) step.delete('variants');
}

/** Numbers of the steps that are recorded otherwise for 7.2. */
function variantSteps({ steps }: ScenarioLines): number[] {
  return steps.flatMap((step, index) => (step.has('variants') ? [index + 1] : []));
}

suite('recording again', { concurrency: 2 }, () => {
  for (const name of chosen) {
    test(`${name}: 10.0 gives the same bytes`, { skip: qemu10.missing }, async () => {
      const lines = linesOf(name);
      assert.deepEqual(await record(name, lines, qemu10, []), []);
      assert.equal(text(lines), text(linesOf(name)));
    });

    test(`${name}: 10.0 gives the same bytes where nothing was recorded before`, { skip: qemu10.missing }, async () => {
      const lines = linesOf(name);
      const wanted = linesOf(name);
      for (const step of [...lines.steps, ...wanted.steps]) step.delete('variants');
      // The number of messages is part of the script where it is not one.
      for (const step of lines.steps) {
        if ((step.get('expect') as unknown[] | undefined)?.length !== 1) continue;
        step.delete('expect');
        step.delete('raw');
      }
      await record(name, lines, qemu10, []);
      assert.deepEqual(lines.steps.map(sorted), wanted.steps.map(sorted));
    });

    test(`${name}: 7.2 gives the same variant`, { skip: qemu7.missing }, async () => {
      const lines = linesOf(name);
      const wanted = linesOf(name);
      for (const step of [...lines.steps, ...wanted.steps]) keepVariant(step, '7.2');
      assert.deepEqual(await record(name, lines, qemu7, ['7.2']), []);
      for (const step of lines.steps) step.delete('variants');
      assert.deepEqual(await record(name, lines, qemu7, ['7.2']), variantSteps(wanted));
      assert.equal(text(lines), text(wanted));
    });
  }
});

/** Fields in any order: what is recorded for the first time stands at the end. */
function sorted(step: JsonObject): string {
  return formatLine(new Map([...step].toSorted(([one], [other]) => (one < other ? -1 : 1))));
}

test('a line that nothing has changed keeps its bytes', () => {
  for (const topic of ['envelope', 'fdsets', 'json-errors', 'exports']) {
    const text = readFileSync(join(root, 'test', 'fixtures', 'transcripts', `${topic}.jsonl`), 'utf8');
    assert.equal(parseLines(text).map(formatLine).join(''), text);
  }
});
