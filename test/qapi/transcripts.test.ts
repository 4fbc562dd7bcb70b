// The recorded answers to wrong arguments, for every command that has a definition: those that QEMU refused by schema
// are refused with the same text, those it did not are accepted.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { isJsonObject, parseJson, type JsonObject } from '../../src/json/index.ts';
import * as qapi from '../../src/qapi/index.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures', 'transcripts');

const commands = new Map<string, qapi.CommandDefinition>();
for (const value of Object.values(qapi)) {
  if (typeof value === 'object' && 'kind' in value && value.kind === 'command') commands.set(value.name, value);
}

/** Texts that only the check against the schema gives; the others come from commands, and from before. */
const refusals = [
  /^Parameter '.*' is (?:missing|unexpected)$/,
  /^Invalid parameter type for /,
  /^Parameter '.*' does not accept value /,
  /^Parameter '.*' expects (?:uint64|u?int\d+_t)$/,
];

interface Step {
  readonly send?: string;
  readonly expect?: readonly { readonly error?: { readonly desc: string } }[];
  readonly variants?: unknown;
}

function refusalOf(step: Step): string | undefined {
  const text = step.expect?.find((message) => message.error)?.error?.desc;
  const refused = text !== undefined && refusals.some((refusal) => refusal.test(text));
  return refused ? text : undefined;
}

function requestOf(step: Step): { command: qapi.CommandDefinition; given: JsonObject | undefined } | undefined {
  let request;
  try {
    request = parseJson(step.send!);
  } catch {
    return undefined;
  }
  if (!isJsonObject(request)) return undefined;
  const name = request.get('execute');
  // The value of qom-set is checked against the type of the property, which the schema of the command does not know.
  const command = typeof name === 'string' && name !== 'qom-set' ? commands.get(name) : undefined;
  const given = request.get('arguments');
  if (!command || (given !== undefined && !isJsonObject(given))) return undefined;
  return { command, given };
}

/** Sent before negotiation, or to a command of the emulator only. */
function reachesSchema(step: Step): boolean {
  const text = step.expect?.find((message) => message.error)?.error?.desc ?? '';
  return (
    !text.startsWith('Expecting capabilities') && !text.startsWith('QMP input') && !text.endsWith('has not been found')
  );
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
  test(`arguments in ${file} are judged as QEMU 10.0 did`, () => {
    let judged = 0;
    for (const line of readFileSync(join(folder, file), 'utf8').trim().split('\n')) {
      const step = JSON.parse(line) as Step;
      const request = step.send === undefined || !reachesSchema(step) ? undefined : requestOf(step);
      if (!request) continue;
      let text: string | undefined;
      try {
        qapi.visitArguments(request.command, request.given);
      } catch (error) {
        text = (error as Error).message;
      }
      assert.equal(text, refusalOf(step), step.send);
      judged++;
    }
    assert.ok(judged > 0 || file.startsWith('add-fd-option'), `no step of ${file} was judged`);
  });
}
