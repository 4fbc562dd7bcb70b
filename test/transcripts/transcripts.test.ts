// Does our server answer as QEMU did when the transcripts were recorded? Each scenario runs against a fresh server.
// What does not pass yet is listed with its reason in test/fixtures/pending.json: a listed scenario that passes fails
// here, as does one that fails and is not listed.
//
// FDSET_TRANSCRIPTS=TOPIC[/TITLE],... runs only these; FDSET_TRANSCRIPT_SERVER names another server's command.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { checkOpenFds } from '../open-fds.ts';
import { listeningSocket } from './listening-socket.ts';
import { ownServer, root } from './own-server.ts';
import { complaints, isPending, nameOf, type Pending, pendingFor, strayEntries } from './pending.ts';
import { runScenario } from './runner.ts';
import { loadScenarios, type Scenario } from './scenario.ts';
import { missingProgram } from './server.ts';

checkOpenFds();

const fixtures = join(root, 'test', 'fixtures');
const pending = JSON.parse(readFileSync(join(fixtures, 'pending.json'), 'utf8')) as Pending;
/** Profiles of ours, and the variants of the recording that each is to equal: 7.2 is that of a running machine. */
const profiles = [
  { compat: 'qemu-10.0', variants: ['fdset'] },
  { compat: 'qemu-7.2', variants: ['7.2', '7.2-running', 'fdset'] },
].map((profile) => ({ ...profile, scenarios: loadScenarios(join(fixtures, 'transcripts'), profile.variants) }));

for (const { compat, scenarios } of profiles) {
  const expected = pendingFor(compat, pending);
  suite(`recorded transcripts, ${compat}`, { concurrency: Math.max(4, availableParallelism()) }, () => {
    for (const scenario of scenarios.filter(isWanted)) {
      const skip = missingProgram(scenario.header) ?? false;
      test(nameOf(scenario), { skip, timeout: 60_000 }, async () => {
        const results = await runScenario(scenario, {
          command: [...ownServer, '--compat', compat],
          listen: listeningSocket,
          unknownCommands: new Set(Object.keys(pending.commands)),
          stopAtFirst: isPending(nameOf(scenario), pending),
        });
        assert.equal(complaints(scenario, results, expected).join('\n'), '');
      });
    }
  });
}

test('pending.json names only scenarios and steps that exist', () => {
  assert.deepEqual(strayEntries(profiles[0]!.scenarios, pending), []);
});

function isWanted(scenario: Scenario): boolean {
  const wanted = process.env['FDSET_TRANSCRIPTS']?.split(',');
  return wanted === undefined || wanted.some((part) => scenario.topic === part || nameOf(scenario).includes(part));
}
