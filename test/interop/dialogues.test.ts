// The dialogues of libvirt, Incus, Kata, systemd-vmspawn, Xen, Ganeti and Proxmox: none fails, and each client hears from
// our storage daemon what it hears from QEMU.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, suite, type TestContext, test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { type QemuVersion, qemu10, qemuVersions } from '../qemu-versions.ts';
import { ownServer, root } from '../transcripts/own-server.ts';
import {
  commandsOf,
  type Dialogue,
  type DialogueServer,
  type DialogueStep,
  type Heard,
  loadDialogues,
  play,
} from './dialogues.ts';

checkOpenFds();

const dialogues = loadDialogues(join(root, 'test', 'fixtures', 'dialogues'));

/** Ours takes the emulator's spelling of options too, as these clients use it. */
function ours(profile: string): DialogueServer {
  return { command: [...ownServer, '--compat', profile], kind: 'system' };
}

function emulator(qemu: QemuVersion): DialogueServer {
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none'];
  return { command: [...qemu.command('qemu-system-x86_64'), ...machine], kind: 'system', slowStart: true };
}

let commands = new Set<string>();

before(async () => {
  commands = await commandsOf(ours('qemu-10.0'));
});

/** Why a step is left out, if it is. */
function leftOut(step: DialogueStep): string | undefined {
  if (step.needs !== undefined && !commands.has(step.needs)) return `there is no ${step.needs} yet`;
  return step['not-here'];
}

function isPlayed(step: DialogueStep): boolean {
  return step['emulator-only'] !== true && leftOut(step) === undefined;
}

function report(t: TestContext, { steps }: Dialogue): void {
  for (const step of steps) {
    const why = leftOut(step);
    if (why !== undefined) t.diagnostic(`left out: ${step.does}: ${why}`);
  }
}

/** How many errors came in each step, and how many are meant to. */
function refusals(heard: readonly Heard[], { steps }: Dialogue): { got: string[]; want: string[] } {
  const meant = new Map(steps.map((step) => [step.does, step.refused ?? 0]));
  const errors = ({ messages }: Heard): unknown[] => messages.filter((message) => 'error' in (message as object));
  return {
    got: heard.map(
      (each) =>
        `${each.does}: ${errors(each).length} refused ${errors(each).length === meant.get(each.does) ? '' : each.text}`,
    ),
    want: heard.map(({ does }) => `${does}: ${meant.get(does)} refused `),
  };
}

/** What is compared of each step. */
function comparable(heard: readonly Heard[], { steps }: Dialogue): unknown[] {
  const kinds = new Set(steps.filter(({ compare }) => compare === 'kind').map(({ does }) => does));
  return heard.map(({ does, text, messages, files }) => ({
    does,
    files,
    text: kinds.has(does) ? messages.map((message) => Object.keys(message as object).sort()) : neutral(text),
  }));
}

/** Names that QEMU makes up are different in each run. */
function neutral(text: string): string {
  return text.replaceAll(/"#block\d+"/g, '"#block"');
}

for (const dialogue of dialogues) {
  const { client } = dialogue.header;
  suite(client, () => {
    test('nothing fails that is meant to succeed', async (t) => {
      report(t, dialogue);
      const heard = await play(dialogue, ours('qemu-10.0'), isPlayed);
      const { got, want } = refusals(heard, dialogue);
      assert.deepEqual(got, want);
    });

    for (const qemu of qemuVersions) {
      test(`QEMU ${qemu.name} says the same`, { skip: qemu.missing }, async () => {
        const theirs = await play(dialogue, emulator(qemu), isPlayed);
        const own = await play(dialogue, ours(`qemu-${qemu.name}`), isPlayed);
        assert.deepEqual(comparable(own, dialogue), comparable(theirs, dialogue));
      });
    }

    test('commands of a machine are refused as by qemu-storage-daemon', { skip: qemu10.missing }, async () => {
      const server: DialogueServer = {
        command: qemu10.command('qemu-storage-daemon'),
        kind: 'storage-daemon',
        slowStart: true,
      };
      const ofMachine = { ...dialogue, steps: dialogue.steps.map(withoutFds) };
      const chosen = (step: DialogueStep): boolean => step['emulator-only'] === true;
      const theirs = await play(ofMachine, server, chosen);
      const own = await play(ofMachine, ours('qemu-10.0'), chosen);
      assert.deepEqual(comparable(own, ofMachine), comparable(theirs, ofMachine));
    });
  });
}

/** The steps between are not played: connections are as at the first. */
function withoutFds(step: DialogueStep): DialogueStep {
  const { connect: _, ...rest } = step;
  return rest;
}
