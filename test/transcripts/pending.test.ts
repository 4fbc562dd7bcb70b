// Does the replay fail where it should? pending.ts and match.ts judged by made-up outcomes.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Bindings, differences, normaliseRaw } from './match.ts';
import { complaints, type Pending, pendingFor, strayEntries } from './pending.ts';
import type { StepResult } from './runner.ts';
import type { Scenario } from './scenario.ts';

const scenario: Scenario = {
  topic: 'topic',
  title: 'title',
  header: { scenario: 'title', server: 'system' },
  steps: [{ send: '{}' }, { send: '[]' }],
};
const nothing: Pending = { scenarios: {}, 'passing-here': [], commands: {}, steps: {}, 'only-for': {} };

function results(...differencesOfSteps: string[][]): StepResult[] {
  return differencesOfSteps.map((found, index) => ({
    number: index + 1,
    step: scenario.steps[index] ?? {},
    differences: found,
  }));
}

suite('the list of what is pending', () => {
  test('complains of a failure that is not listed', () => {
    assert.deepEqual(complaints(scenario, results([], []), nothing), []);
    assert.deepEqual(complaints(scenario, results([], ['wrong']), nothing), ['step 2: []', '     wrong']);
  });

  test('complains of a listed scenario that passes', () => {
    const listed = { ...nothing, scenarios: { 'topic/title': 'a reason' } };
    assert.deepEqual(complaints(scenario, results([], ['wrong']), listed), []);
    assert.match(complaints(scenario, results([], []), listed).join(), /passes, but pending.json lists it: a reason/);
    const passing = { ...listed, 'passing-here': ['topic/title'] };
    assert.deepEqual(complaints(scenario, results([], []), passing), []);
    assert.equal(complaints(scenario, results([], ['wrong']), passing).length, 2);
  });

  test('complains of a listed step that passes, and of others that fail', () => {
    const listed = { ...nothing, steps: { 'topic/title#2': 'a reason' } };
    assert.deepEqual(complaints(scenario, results([], ['wrong']), listed), []);
    assert.deepEqual(complaints(scenario, results([], []), listed), ['step 2 passes, but pending.json lists it']);
    assert.equal(complaints(scenario, results(['wrong'], ['wrong']), listed).length, 2);
  });

  test('may be shorter for one profile than for another', () => {
    const steps = { 'topic/title#1': 'always', 'topic/title#2': 'once' };
    const listed = { ...nothing, steps, 'only-for': { 'topic/title#2': 'qemu-10.0' } };
    assert.deepEqual(pendingFor('qemu-10.0', listed).steps, steps);
    assert.deepEqual(pendingFor('qemu-7.2', listed).steps, { 'topic/title#1': 'always' });
    assert.deepEqual(strayEntries([scenario], { ...nothing, 'only-for': listed['only-for'] }), ['topic/title#2']);
  });

  test('has no entry for what does not exist', () => {
    const stray = { ...nothing, scenarios: { 'topic/other': '' }, steps: { 'topic/title#3': '' } };
    assert.deepEqual(strayEntries([scenario], stray), ['topic/other', 'topic/title#3']);
    assert.deepEqual(strayEntries([scenario], { ...nothing, 'passing-here': ['topic/title'] }), ['topic/title']);
  });
});

suite('a recorded message', () => {
  const bindings = (): Bindings => ({ dir: '/tmp/x', fds: new Map() });

  test('agrees with itself and with nothing else', () => {
    const want = { return: [{ a: 1, b: 'x' }, null] };
    assert.deepEqual(differences(want, structuredClone(want), bindings()), []);
    for (const got of [{}, { return: [] }, { return: [{ a: 1 }, null] }, { return: [{ a: '1', b: 'x' }, null] }]) {
      assert.notDeepEqual(differences(want, got, bindings()), []);
    }
    assert.notDeepEqual(differences({}, { more: 1 }, bindings()), []);
  });

  test('binds the name of an fd to its first number', () => {
    const bound = bindings();
    assert.deepEqual(differences({ fd: '<fd:n1>' }, { fd: 7 }, bound), []);
    assert.deepEqual(differences({ fd: '<fd:n1>' }, { fd: 7 }, bound), []);
    assert.notDeepEqual(differences({ fd: '<fd:n1>' }, { fd: 8 }, bound), []);
    assert.equal(normaliseRaw('{"fd": 7, "x": "fd:7"} /tmp/x', bound), '{"fd": <fd:n1>, "x": "fd:<fd:n1>"} ${dir}');
  });
});
