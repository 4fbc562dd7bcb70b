// What a peer or a command line sends is judged, never stumbled over.
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isJsonObject, parseJson, writeJson, type JsonOutput } from '../../src/json/index.ts';
import * as qapi from '../../src/qapi/index.ts';
import { SchemaValues } from './arbitrary.ts';

const definitions = Object.values(qapi).filter((value) => typeof value === 'object' && 'kind' in value);
const commands = definitions.filter((value) => value.kind === 'command') as qapi.CommandDefinition[];

/** Runs a check that may refuse with a QapiError, and with nothing else. */
function judge<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof qapi.QapiError) return undefined;
    throw error;
  }
}

test('arguments near those of the schema are accepted or refused with a QapiError, for every command', () => {
  assert.ok(commands.length > 30);
  const values = new SchemaValues(new Set());
  let accepted = 0;
  for (const command of commands) {
    if (!command.data) continue;
    for (const sample of fc.sample(values.of(command.data), 40)) {
      const given = parseJson(writeJson(sample));
      if (!isJsonObject(given)) continue;
      const visited = judge(() => qapi.visitArguments(command, given));
      if (visited === undefined) continue;
      accepted++;
      assert.deepEqual(new Set(Object.keys(visited)), new Set(given.keys()));
      // What was accepted is accepted again as it came out: negative sizes have become what they stand for.
      const again = parseJson(writeJson(visited as JsonOutput));
      assert.ok(isJsonObject(again));
      assert.deepEqual(qapi.visitArguments(command, again), visited);
    }
  }
  assert.ok(accepted > 50, `only ${accepted} were accepted`);
});

test('any JSON at all is judged', () => {
  fc.assert(
    fc.property(fc.constantFrom(...commands), fc.dictionary(fc.string(), fc.jsonValue()), (command, given) => {
      judge(() =>
        qapi.visitArguments(command, new Map(Object.entries(given).map(([k, v]) => [k, parseJson(JSON.stringify(v))]))),
      );
    }),
  );
});

test('any option text is judged', () => {
  const word = fc.constantFrom(
    'driver',
    'null-co',
    'a',
    '0',
    '1',
    '.',
    ',',
    ',,',
    '=',
    'help',
    '?',
    'no',
    'id',
    '__proto__',
    '-',
    'é',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(text, (option) => {
      judge(() => qapi.parseKeyval(option, 'driver'));
      judge(() => qapi.parseQemuOpts(qapi.chardevOptions, option));
      if (!option.startsWith('{')) judge(() => qapi.visitOption(qapi.BlockdevOptions, option, 'driver'));
    }),
    { numRuns: 2000 },
  );
  assert.deepEqual(Object.keys(Object.prototype), []);
});

test('a list index as large as it likes makes no list of that length', () => {
  assert.equal(
    judge(() => qapi.parseKeyval('a.4294967295=1,a.99999999999999999999=2')),
    undefined,
  );
});
