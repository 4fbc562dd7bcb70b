// Is this what was recorded? The outcome of one step against the fields of the step.
import type { Message } from '../qmp-connection.ts';
import { type Bindings, differences, normaliseRaw } from './match.ts';
import type { Observed } from './run.ts';
import type { Step } from './scenario.ts';

/** Compares with the recording; binds the names of fds as it meets them. */
export class Judge {
  readonly #bindings: Bindings;

  constructor(bindings: Bindings) {
    this.#bindings = bindings;
  }

  /** What differs beside the replies. */
  sideEffects(step: Step, got: Observed): string[] {
    const found: string[] = [];
    if (got.exit !== step.exit) found.push(`exit status ${got.exit}, expected ${step.exit}`);
    for (const [name, want] of Object.entries(step['fd-flags'] ?? {})) {
      const flags = got['fd-flags']?.[name];
      if (flags !== want) found.push(`flags of the client's fd ${name}: ${flags}, expected ${want}`);
    }
    const [want, content] = [step['read-file'], got['read-file']];
    if (content?.hex !== want?.hex) found.push(`content of ${want?.file}: ${content?.hex}, expected ${want?.hex}`);
    if (step.nbd !== undefined) {
      found.push(...differences(step.outcome, got.outcome, this.#bindings).map((text) => `NBD${text}`));
    }
    return found;
  }

  /** What differs between the replies that were recorded and those that came. */
  replies(step: Step, got: readonly Message[], eof: boolean): string[] {
    const want = step.expect ?? [];
    const values = got.map(({ value }) => value);
    const found = step.unordered === true ? this.#unordered(want, values) : this.#ordered(want, values);
    if (step['expect-eof'] !== undefined && eof !== step['expect-eof']) {
      found.push(`the connection is ${eof ? 'closed' : 'still open'}`);
    }
    return found.length > 0 || step.unordered === true ? found : this.#rawDifferences(step.raw, got);
  }

  #ordered(want: readonly unknown[], got: readonly unknown[]): string[] {
    return [
      ...want.slice(got.length).map((message) => `missing: ${JSON.stringify(message)}`),
      ...got.slice(want.length).map((message) => `unexpected: ${JSON.stringify(message)}`),
      ...want
        .slice(0, got.length)
        .flatMap((message, index) => differences(message, got[index], this.#bindings, `message ${index}: `)),
    ];
  }

  #unordered(want: readonly unknown[], got: readonly unknown[]): string[] {
    const left = [...got];
    const found: string[] = [];
    for (const message of want) {
      const place = left.findIndex((candidate) => this.#agree(message, candidate));
      if (place < 0) found.push(`missing: ${JSON.stringify(message)}`);
      else left.splice(place, 1);
    }
    return [...found, ...left.map((message) => `unexpected: ${JSON.stringify(message)}`)];
  }

  /** Like differences(), but names are bound only by what agrees. */
  #agree(want: unknown, got: unknown): boolean {
    const before = new Map(this.#bindings.fds);
    if (differences(want, got, this.#bindings).length === 0) return true;
    this.#bindings.fds = before;
    return false;
  }

  #rawDifferences(raw: string | undefined, got: readonly Message[]): string[] {
    if (raw === undefined) return [];
    const text = withoutFdNumbers(got.map((message) => normaliseRaw(message.text, this.#bindings)).join(''));
    return text === withoutFdNumbers(raw) ? [] : [`raw bytes ${JSON.stringify(text)}, expected ${JSON.stringify(raw)}`];
  }
}

/** An fd that no add-fd of the scenario has returned stands in the recorded bytes with QEMU's own number. */
function withoutFdNumbers(raw: string): string {
  return raw.replaceAll(/("fd": )\d+/g, '$1<int>');
}
