// What does a server answer to the script of a scenario? Takes the steps of one scenario and gives each the fields that
// this server shows. A step that agrees with what was recorded before is left alone, so that only differences show.
import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../src/json/index.ts';
import type { Message, QmpConnection } from '../qmp-connection.ts';
import type { Listen } from './fd-spec.ts';
import { Judge } from './judge.ts';
import { type Bindings, normaliseRaw } from './match.ts';
import { type Observed, Run } from './run.ts';
import type { Scenario, Step } from './scenario.ts';
import { ServerUnderTest } from './server.ts';

/** Milliseconds to wait for as many messages as came before. */
const TIMEOUT = 15_000;
/** Milliseconds without a message that end a step. */
const QUIET = 60;
/** The same where nothing is to come. */
const SILENCE = 200;
/** QEMU greets twice who connects while it moves a monitor to its thread. Milliseconds. */
const SETTLE = 400;

export interface RecordOptions {
  /** The server's program and first arguments; the scenario's options follow. */
  readonly command: readonly string[];
  readonly listen: Listen;
}

/**
 * The fields of a step as this server shows them, exact; undefined for a step that agrees with the recording. A step
 * whose `expect` is missing is expected to be answered once.
 */
export type Recorded = JsonObject | undefined;

/** Records a scenario from a fresh server. */
export async function recordScenario(scenario: Scenario, options: RecordOptions): Promise<Recorded[]> {
  const server = await ServerUnderTest.start(scenario.header, options.command, options.listen);
  const run = new Run(server);
  const recorder = new Recorder(run);
  try {
    await sleep(SETTLE);
    const recorded: Recorded[] = [];
    for (const step of scenario.steps) recorded.push(await recorder.step(step));
    return recorded;
  } finally {
    run.close();
    await server.stop();
  }
}

class Recorder {
  readonly #run: Run;
  readonly #judge: Judge;
  readonly #bindings: Bindings;
  readonly #namesGiven = new Set<string>();

  constructor(run: Run) {
    this.#run = run;
    this.#bindings = run.bindings;
    this.#judge = new Judge(run.bindings);
  }

  async step(step: Step): Promise<Recorded> {
    await this.#run.act(step);
    const observed = await this.#run.observe(step);
    const answers = isAnswered(step) ? await answersTo(step, this.#run.connection(step)) : undefined;
    const before = new Map(this.#bindings.fds);
    const found = this.#judge.sideEffects(step, observed);
    if (answers !== undefined) {
      if (step.expect === undefined) found.push('never recorded');
      found.push(...this.#judge.replies(step, answers.messages, answers.eof));
    }
    if (found.length > 0) this.#bindings.fds = before;
    for (const name of this.#bindings.fds.keys()) this.#namesGiven.add(name);
    return found.length === 0 ? undefined : this.#fields(step, observed, answers);
  }

  #fields(step: Step, observed: Observed, answers: Answers | undefined): JsonObject {
    const fields: JsonObject = new Map();
    for (const [name, value] of Object.entries(observed)) fields.set(name, asJson(value));
    if (answers === undefined) return fields;
    const values = answers.messages.map(({ text }) => exactValue(text));
    for (const value of values) this.#nameFd(value, step.bind);
    fields.set(
      'expect',
      values.map((value) => this.#normalise(value)),
    );
    const raw = answers.messages.map(({ text }) => normaliseRaw(text, this.#bindings)).join('');
    // What had no bytes, such as the progress of a job, has none that could be compared.
    if (step.unordered !== true && (step.expect === undefined || step.raw !== undefined)) fields.set('raw', raw);
    if (step['expect-eof'] !== undefined || answers.eof) fields.set('expect-eof', answers.eof);
    return fields;
  }

  /** The fd that add-fd returns gets the name that the step has for it, or the next that is free. */
  #nameFd(message: JsonValue, wanted: string | undefined): void {
    const result = isJsonObject(message) ? message.get('return') : undefined;
    if (!isJsonObject(result) || result.size !== 2 || !result.has('fdset-id')) return;
    const number = result.get('fd');
    if (typeof number !== 'number') return;
    const { fds } = this.#bindings;
    for (const [name, other] of fds) if (other === number) fds.delete(name);
    fds.set(wanted === undefined || this.#namesGiven.has(wanted) ? this.#freeName() : wanted, number);
  }

  #freeName(): string {
    let index = 1;
    while (this.#namesGiven.has(`n${index}`)) index++;
    this.#namesGiven.add(`n${index}`);
    return `n${index}`;
  }

  /** The placeholders that test/fixtures/transcripts/README.md describes. */
  #normalise(value: JsonValue, key = ''): JsonValue {
    if (Array.isArray(value)) return value.map((item) => this.#normalise(item, key));
    if (isJsonObject(value)) {
      if (key === 'timestamp') return asJson({ seconds: '<seconds>', microseconds: '<microseconds>' });
      if (value.size === 2 && value.has('qemu') && value.has('package')) {
        return asJson({ qemu: { micro: '<int>', minor: '<int>', major: '<int>' }, package: '<string>' });
      }
      return new Map([...value].map(([name, member]) => [name, this.#normalise(member, name)]));
    }
    if (typeof value === 'number' && key === 'fd') {
      const name = this.#nameOf(value);
      return name === undefined ? '<int>' : `<fd:${name}>`;
    }
    if (typeof value !== 'string') return value;
    return value.replaceAll(this.#bindings.dir, '${dir}').replaceAll(/\bfd([:=])(\d+)\b/g, (all, sign, digits) => {
      const name = this.#nameOf(Number(digits));
      return name === undefined ? all : `fd${sign}<fd:${name}>`;
    });
  }

  #nameOf(fd: number): string | undefined {
    return [...this.#bindings.fds].find(([, number]) => number === fd)?.[0];
  }
}

interface Answers {
  readonly messages: readonly Message[];
  readonly eof: boolean;
}

/** Whether a step is about what comes on a connection. */
function isAnswered(step: Step): boolean {
  return ['expect', 'connect', 'send', 'hex', 'parts', 'writes'].some((field) => field in step);
}

/** Waits for what was recorded, and for what comes beyond. */
async function answersTo(step: Step, connection: QmpConnection): Promise<Answers> {
  const wanted = step.expect?.length ?? 1;
  await connection.waitFor(() => connection.messages.length >= wanted, TIMEOUT);
  if (step['expect-eof'] === true) await connection.waitFor(() => false, TIMEOUT);
  for (let count = -1; count !== connection.messages.length && !connection.eof;) {
    count = connection.messages.length;
    await connection.waitFor(() => connection.messages.length > count, wanted === 0 ? SILENCE : QUIET);
  }
  return { messages: connection.take(), eof: connection.eof };
}

/** A message with its integers exact. QEMU prints an overflowed number as inf, which is not JSON. */
function exactValue(text: string): JsonValue {
  return parseJson(text.replaceAll(/(?<=: )(-?inf)\b/g, '"<$1>"'));
}

function asJson(value: unknown): JsonValue {
  return parseJson(JSON.stringify(value));
}
