// Do two servers answer alike? Plays random scripts on both at once and shrinks the first that differs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { aScript } from './arbitrary.ts';
import { equal, firstDifference, isOnPurpose, show } from './difference.ts';
import { Histogram } from './histogram.ts';
import { ScriptRun } from './run-script.ts';
import type { Script } from './script.ts';
import { Server, type ServerProgram } from './server.ts';

/** How long both may take until the same files are open, in milliseconds: closing may wait for a thread. */
const FILES_SETTLE = 1000;
/** The same while a script is shrunk, for which a mistake costs little. */
const FILES_SETTLE_SHRINKING = 100;
/** How long a script that differs may be shrunk, in milliseconds. */
const SHRINKING = 30_000;

/** A script that two servers answer differently. */
export interface Difference {
  readonly script: Script;
  /** The script and both answers, for people. */
  readonly text: string;
}

export interface CompareOptions {
  /** Asked before each script. */
  readonly enough?: () => boolean;
  /** How long a script that differs may be shrunk, in milliseconds. */
  readonly shrinking?: number;
}

/** Two servers, to be compared. */
export class Comparison {
  readonly histogram: Histogram;
  readonly #folder: string;
  #servers: readonly [Server, Server] | undefined;
  /** What is played to shrink a script is not counted. */
  #shrinking = false;
  scripts = 0;
  /** Scripts that ours answers otherwise on purpose. */
  differentOnPurpose = 0;

  private constructor(folder: string, histogram: Histogram) {
    this.#folder = folder;
    this.histogram = histogram;
  }

  /** The first is the one that is right. */
  static async start(right: ServerProgram, tested: ServerProgram, histogram = new Histogram()): Promise<Comparison> {
    const comparison = new Comparison(mkdtempSync(join(tmpdir(), 'fdset-differential-')), histogram);
    const start = (program: ServerProgram): Promise<Server> => Server.start(program, comparison.#folder);
    comparison.#servers = [await start(right), await start(tested)];
    return comparison;
  }

  /** Plays `count` scripts of a seed, fewer if `enough` says so; stops at the first difference and shrinks it. */
  async compare(seed: number, count: number, options: CompareOptions = {}): Promise<Difference | undefined> {
    const { enough = () => false, shrinking = SHRINKING } = options;
    let shortest: Difference | undefined;
    let shrinkUntil = Infinity;
    this.#shrinking = false;
    const property = fc.asyncProperty(aScript, async (script) => {
      if (Date.now() > shrinkUntil || (shortest === undefined && enough())) return;
      const text = await this.play(script);
      if (text === undefined) return;
      shrinkUntil = Math.min(shrinkUntil, Date.now() + shrinking);
      shortest = { script, text };
      throw new Error('a difference');
    });
    const { failed, errorInstance } = await fc.check(property, { seed, numRuns: count });
    // Not a difference, but a server that does not start, or a fault of the harness.
    if (failed && shortest === undefined) throw errorInstance;
    return shortest;
  }

  /** Plays one script on both; gives the difference, as text, if there is one. */
  async play(script: Script): Promise<string | undefined> {
    const [right, tested] = this.#servers!;
    const runs = [new ScriptRun(right), new ScriptRun(tested)] as const;
    const [first, second] = runs;
    const patience = this.#shrinking ? FILES_SETTLE_SHRINKING : FILES_SETTLE;
    if (!this.#shrinking) this.scripts++;
    await Promise.all(runs.map((run) => run.play(script)));
    await compareFiles(first, second, 'the files at the end', patience);
    await Promise.all(runs.map((run) => run.cleanUp(script)));
    await compareFiles(first, second, 'the files after cleaning up', patience);
    for (const run of runs) run.close();
    const isDifferent = firstDifference(first.record, second.record) !== undefined;
    if (isDifferent && isOnPurpose(second.record)) {
      this.differentOnPurpose++;
      return undefined;
    }
    for (const { server, failed } of runs) {
      if (failed) await server.restart();
      else if (isDifferent) server.forgiveLeaks();
    }
    if (!isDifferent) {
      if (!this.#shrinking) this.histogram.add(first.record);
      return undefined;
    }
    this.#shrinking = true;
    return show([right.name, tested.name], first.record, second.record);
  }

  async end(): Promise<void> {
    await Promise.all(this.#servers!.map((server) => server.end()));
    rmSync(this.#folder, { recursive: true });
  }
}

/** Puts the files on both records, once they are equal or it is certain that they will not be. */
async function compareFiles(first: ScriptRun, second: ScriptRun, what: string, patience: number): Promise<void> {
  // Otherwise the files differ anyway, and would be waited for; or what else was under way is not known.
  if (firstDifference(first.record, second.record) !== undefined || first.failed) return;
  const deadline = Date.now() + patience;
  for (;;) {
    const [left, right] = [first.files(), second.files()];
    if (equal(left, right) || Date.now() > deadline) {
      first.record.push({ what, writes: [], answers: left, outcomes: [] });
      second.record.push({ what, writes: [], answers: right, outcomes: [] });
      return;
    }
    await sleep(5);
  }
}
