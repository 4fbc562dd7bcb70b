// What does test/fixtures/pending.json leave out, and does it still have to?
import type { Scenario } from './scenario.ts';
import type { StepResult } from './runner.ts';

export interface Pending {
  /** Scenarios, as `topic/title`, that do not pass, with the reason. */
  readonly scenarios: Readonly<Record<string, string>>;
  /**
   * Of these scenarios the ones that must pass here, but for the steps listed below. Another replayer knows scenarios and
   * commands only, and leaves the steps of absent commands out; here they are sent, with the fds that they carry.
   */
  readonly 'passing-here': readonly string[];
  /** Commands that the server does not have: each must be answered with CommandNotFound. */
  readonly commands: Readonly<Record<string, string>>;
  /** Steps, as `topic/title#N`, that do not pass in a scenario that otherwise does. */
  readonly steps: Readonly<Record<string, string>>;
  /** Of those steps the ones that only this profile does not pass: the recordings of the others ask for nothing else. */
  readonly 'only-for': Readonly<Record<string, string>>;
}

/** What a profile, as `--compat` names it, does not pass. */
export function pendingFor(compat: string, pending: Pending): Pending {
  const concerns = ([step]: [string, string]): boolean => (pending['only-for'][step] ?? compat) === compat;
  return { ...pending, steps: Object.fromEntries(Object.entries(pending.steps).filter(concerns)) };
}

export function nameOf({ topic, title }: Scenario): string {
  return `${topic}/${title}`;
}

/** Whether a scenario must fail. */
export function isPending(name: string, pending: Pending): boolean {
  return pending.scenarios[name] !== undefined && !pending['passing-here'].includes(name);
}

/** What is wrong with the outcome of a scenario, listed or not; no lines if it is as expected. */
export function complaints(scenario: Scenario, results: readonly StepResult[], pending: Pending): string[] {
  const name = nameOf(scenario);
  const failed = results.filter(({ differences }) => differences.length > 0);
  if (isPending(name, pending)) {
    return failed.length > 0 ? [] : [`passes, but pending.json lists it: ${pending.scenarios[name]}`];
  }
  const isListed = ({ number }: StepResult): boolean => pending.steps[`${name}#${number}`] !== undefined;
  return [
    ...failed.filter((result) => !isListed(result)).flatMap(describe),
    ...results
      .filter((result) => isListed(result) && result.differences.length === 0)
      .map(({ number }) => `step ${number} passes, but pending.json lists it`),
  ];
}

/** Entries that name nothing there is. */
export function strayEntries(scenarios: readonly Scenario[], pending: Pending): string[] {
  const names = new Set(scenarios.map(nameOf));
  const steps = new Set(scenarios.flatMap((one) => one.steps.map((_, index) => `${nameOf(one)}#${index + 1}`)));
  return [
    ...Object.keys(pending.scenarios).filter((name) => !names.has(name)),
    ...pending['passing-here'].filter((name) => pending.scenarios[name] === undefined),
    ...Object.keys(pending.steps).filter((name) => !steps.has(name)),
    ...Object.keys(pending['only-for']).filter((name) => pending.steps[name] === undefined),
  ];
}

function describe({ number, step, differences }: StepResult): string[] {
  const what = step.send ?? step.note ?? JSON.stringify({ ...step, expect: undefined, raw: undefined });
  return [`step ${number}: ${what.slice(0, 200)}`, ...differences.map((text) => `     ${text.slice(0, 600)}`)];
}
