// How does what was recorded come into the files of transcripts? A scenario's lines, with the fields that a server has
// shown put into them: as the recording itself, or as a variant of it.
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject, type JsonValue } from '../../src/json/index.ts';
import type { Recorded } from './record.ts';
import { applyVariant, type Scenario, type ScenarioHeader, type Step } from './scenario.ts';
import { formatLine } from './transcript-lines.ts';

/** The scenario's own line and those of its steps. */
export interface ScenarioLines {
  readonly header: JsonObject;
  readonly steps: readonly JsonObject[];
}

/** Groups the lines of a file. */
export function scenariosOf(lines: readonly JsonObject[]): ScenarioLines[] {
  const scenarios: { header: JsonObject; steps: JsonObject[] }[] = [];
  for (const line of lines) {
    if (line.has('scenario')) scenarios.push({ header: line, steps: [] });
    else scenarios.at(-1)?.steps.push(line);
  }
  return scenarios;
}

/** The script of a scenario, with what is expected of the variants named. */
export function scriptOf(topic: string, { header, steps }: ScenarioLines, variants: readonly string[]): Scenario {
  const plain = (line: JsonObject): unknown => JSON.parse(formatLine(line));
  const head = plain(header) as ScenarioHeader;
  const entries = steps.map((line) => plain(line) as Step);
  const applied = entries.map((entry) =>
    variants.reduce((step, name) => applyVariant(step, entry.variants?.[name]), entry),
  );
  return { topic, title: head.scenario, header: head, steps: applied };
}

/** Puts what was recorded into the lines. A line that agreed keeps its bytes. */
export function update(lines: ScenarioLines, recorded: readonly Recorded[], variants: readonly string[]): void {
  const name = variants.at(-1);
  for (const [index, step] of lines.steps.entries()) {
    const fields = recorded[index];
    if (fields === undefined) continue;
    if (name === undefined) for (const [field, value] of fields) step.set(field, value);
    else updateVariant(step, fields, variants.slice(0, -1), name);
  }
}

/** A variant holds the fields that are not those of the recording, or of the variants that it is a variant of. */
function updateVariant(step: JsonObject, fields: JsonObject, bases: readonly string[], name: string): void {
  const known = step.get('variants');
  const variants: JsonObject = isJsonObject(known) ? known : new Map();
  const base = new Map(step);
  for (const other of bases) {
    const fieldsOfOther = variants.get(other);
    if (isJsonObject(fieldsOfOther)) for (const [field, value] of fieldsOfOther) base.set(field, value);
  }
  const delta: JsonObject = new Map([...fields].filter(([field, value]) => !isSame(value, base.get(field))));
  if (delta.size > 0) variants.set(name, delta);
  else variants.delete(name);
  if (variants.size > 0) step.set('variants', variants);
  else step.delete('variants');
}

/** Members may come in another order. */
function isSame(one: JsonValue, other: JsonValue | undefined): boolean {
  return isDeepStrictEqual(one, other);
}
