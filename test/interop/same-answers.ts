// Do a QEMU and our daemon answer a script alike? The script runs on QEMU, which is recorded, then the recording on ours.
import assert from 'node:assert/strict';
import { writeJson } from '../../src/json/index.ts';
import type { QemuVersion } from '../qemu-versions.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';
import { ownServer } from '../transcripts/own-server.ts';
import { type Recorded, recordScenario } from '../transcripts/record.ts';
import { runScenario } from '../transcripts/runner.ts';
import type { Scenario, ScenarioHeader, Step } from '../transcripts/scenario.ts';

/** A script: what a scenario has, without what is expected. A string is the text of one request. */
export interface Script extends Omit<ScenarioHeader, 'scenario'> {
  readonly steps: readonly (Step | string)[];
}

/** A request as text. */
export function request(execute: string, args?: object): string {
  return JSON.stringify({ execute, arguments: args });
}

/**
 * Fails where our daemon, as `qemu`, answers otherwise than that QEMU, bytes included. The session is negotiated first.
 * The emulator runs its machine: 7.2 keeps fds otherwise while it is stopped.
 */
export async function assertSameAnswers(script: Script, qemu: QemuVersion): Promise<void> {
  const given = script.steps.map((step): Step => (typeof step === 'string' ? { send: step } : step));
  const steps: Step[] = [{ connect: 'a' }, { send: request('qmp_capabilities') }, ...given];
  const scenario: Scenario = { topic: 'script', title: 'script', header: { ...script, scenario: 'script' }, steps };
  const recorded = await recordScenario(scenario, { command: commandOf(qemu, script.server), listen: listeningSocket });
  const expected = steps.map((step, index) => withFields(step, recorded[index]));
  const results = await runScenario(
    { ...scenario, steps: expected },
    {
      command: [...ownServer, '--compat', `qemu-${qemu.name}`],
      listen: listeningSocket,
      unknownCommands: new Set(),
      stopAtFirst: false,
    },
  );
  const found = results.flatMap(({ number, step, differences }) =>
    differences.map((difference) => `step ${number}, ${step.send ?? step.note ?? ''}\n  ${difference}`),
  );
  assert.equal(found.join('\n'), '');
}

function commandOf(qemu: QemuVersion, server: Script['server']): readonly string[] {
  if (server === 'storage-daemon') return qemu.command('qemu-storage-daemon');
  return [...qemu.command('qemu-system-x86_64'), '-machine', 'none', '-nodefaults', '-display', 'none'];
}

function withFields(step: Step, fields: Recorded): Step {
  if (fields === undefined) return step;
  const text = writeJson(fields);
  // The names that nodes get where none is given are partly random.
  const masked = text.replaceAll(/"#block\d+"/g, '"<string>"');
  const expected = JSON.parse(masked) as Partial<Step>;
  return masked === text ? { ...step, ...expected } : { ...step, expect: expected.expect ?? [] };
}
