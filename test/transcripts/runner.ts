// Does a server answer as recorded? Replays the steps of one scenario, in order, and says what differs.
import type { Listen } from './fd-spec.ts';
import { Judge } from './judge.ts';
import { Run, TIMEOUT } from './run.ts';
import { commandOf, type Scenario, type Step } from './scenario.ts';
import { ServerUnderTest } from './server.ts';

/** Milliseconds in which nothing must come. */
const SILENCE = 150;

/** What a step has come to: differences from the recording, none if it passed. */
export interface StepResult {
  /** Counted from 1; 0 is the start of the server. */
  readonly number: number;
  readonly step: Step;
  readonly differences: readonly string[];
}

export interface RunOptions {
  /** The server's program and first arguments; the scenario's options follow. */
  readonly command: readonly string[];
  readonly listen: Listen;
  /** Commands that the server must not know: their steps are sent all the same, and CommandNotFound is expected. */
  readonly unknownCommands: ReadonlySet<string>;
  /** Whether one difference is all that matters. Else every step is taken, also after one that differs. */
  readonly stopAtFirst: boolean;
}

/** Runs a scenario on a fresh server. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<StepResult[]> {
  let server: ServerUnderTest;
  try {
    server = await ServerUnderTest.start(scenario.header, options.command, options.listen);
  } catch (error) {
    return [{ number: 0, step: { note: 'the start' }, differences: [String(error)] }];
  }
  const run = new Run(server);
  const judge = new Judge(run.bindings);
  try {
    const results: StepResult[] = [];
    for (const [index, step] of scenario.steps.entries()) {
      const unknown = options.unknownCommands.has(commandOf(step) ?? '');
      const result = await replayStep(run, judge, unknown ? expectingNotFound(step) : step);
      results.push({ number: index + 1, step, differences: result });
      if (options.stopAtFirst && result.length > 0) break;
    }
    return results;
  } finally {
    run.close();
    await server.stop();
  }
}

function expectingNotFound(step: Step): Step {
  const { raw: _raw, unordered: _unordered, ...rest } = step;
  const { id } = JSON.parse(step.send ?? '') as { id?: unknown };
  const desc = `The command ${commandOf(step)} has not been found`;
  return { ...rest, expect: [{ ...(id === undefined ? {} : { id }), error: { class: 'CommandNotFound', desc } }] };
}

async function replayStep(run: Run, judge: Judge, step: Step): Promise<string[]> {
  try {
    await run.act(step);
    return [...judge.sideEffects(step, await run.observe(step)), ...(await replies(run, judge, step))];
  } catch (error) {
    return [String(error)];
  }
}

async function replies(run: Run, judge: Judge, step: Step): Promise<string[]> {
  const want = step.expect;
  if (want === undefined) return [];
  const connection = run.connection(step);
  await connection.waitFor(() => connection.messages.length >= want.length, TIMEOUT);
  if (step['expect-eof'] === true) await connection.waitFor(() => false, TIMEOUT);
  else if (want.length === 0) await connection.waitFor(() => connection.messages.length > 0, SILENCE);
  return judge.replies(step, connection.take(), connection.eof);
}
