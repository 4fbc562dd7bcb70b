// What has been compared? Counts command × outcome × number of fds, and tells where the generator has become too tame.
import type { StepRecord } from './run-script.ts';

/** Below these shares a run has not shown enough. */
const LEAST_SUCCESSES = 0.4;
const LEAST_OF_EACH = 0.01;

type Outcome = 'success' | 'error' | 'swallowed';
const outcomes: readonly Outcome[] = ['success', 'error', 'swallowed'];
const fdCounts = ['0 fds', '1 fd', '2+ fds'];

/** Counts of requests. */
export class Histogram {
  readonly #counts = new Map<string, number[]>();
  total = 0;

  add(record: readonly StepRecord[]): void {
    for (const step of record) {
      for (const { expected, answer } of step.outcomes) this.#count(expected.name, outcomeOf(answer), expected.fds);
    }
  }

  #count(command: string, outcome: Outcome, fds: number): void {
    const counts = this.#counts.get(command) ?? Array.from({ length: 9 }, () => 0);
    this.#counts.set(command, counts);
    counts[outcomes.indexOf(outcome) * 3 + Math.min(fds, 2)]!++;
    this.total++;
  }

  get successes(): number {
    let sum = 0;
    for (const counts of this.#counts.values()) sum += counts[0]! + counts[1]! + counts[2]!;
    return sum;
  }

  /** What is wrong with the mixture; empty where nothing is. */
  complaints(commands: readonly string[]): string[] {
    const complaints: string[] = [];
    const share = this.successes / this.total;
    if (!(share >= LEAST_SUCCESSES)) complaints.push(`only ${percent(share)} of the commands succeed`);
    for (const command of commands) {
      const part = sum(this.#counts.get(command) ?? []) / this.total;
      if (!(part >= LEAST_OF_EACH)) complaints.push(`only ${percent(part)} of the commands are ${command}`);
    }
    return complaints;
  }

  toString(): string {
    const heads = outcomes.flatMap((outcome) => fdCounts.map((fds) => `${outcome}, ${fds}`));
    const rows = [...this.#counts].sort(([, left], [, right]) => sum(right) - sum(left));
    const lines = rows.map(([command, counts]) => {
      const cells = counts.flatMap((count, index) => (count > 0 ? [`${heads[index]}: ${count}`] : []));
      return `${command.padEnd(26)} ${percent(sum(counts) / this.total).padStart(6)}   ${cells.join('; ')}`;
    });
    const head = `${this.total} commands, ${percent(this.successes / this.total)} successful`;
    return [head, ...lines].join('\n');
  }
}

function outcomeOf(answer: string | undefined): Outcome {
  if (answer === undefined) return 'swallowed';
  return answer.startsWith('{"return"') ? 'success' : 'error';
}

function sum(counts: readonly number[]): number {
  return counts.reduce((left, right) => left + right, 0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
