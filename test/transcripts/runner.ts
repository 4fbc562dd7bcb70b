// Does a server answer as recorded? Replays the steps of one scenario, in order, and says what differs.
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Message, QmpConnection } from '../qmp-connection.ts';
import { type Listen, statusFlags } from './fd-spec.ts';
import { type Bindings, differences, normaliseRaw } from './match.ts';
import { NbdProbe } from './nbd-probe.ts';
import { commandOf, type NbdAction, type Scenario, type Step, type WriteSpec } from './scenario.ts';
import { ServerUnderTest } from './server.ts';

/** Milliseconds to wait for what must come; only a failing server makes us wait that long. */
const TIMEOUT = 5_000;
/** Milliseconds in which nothing must come. */
const SILENCE = 150;
/** Milliseconds between the writes of one step, and for the server to see that a client has gone. */
const PAUSE = 50;

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
  try {
    const results: StepResult[] = [];
    for (const [index, step] of scenario.steps.entries()) {
      const unknown = options.unknownCommands.has(commandOf(step) ?? '');
      const result = await run.step(unknown ? expectingNotFound(step) : step);
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

/** A scenario in progress. */
class Run {
  readonly #server: ServerUnderTest;
  readonly #bindings: Bindings;
  readonly #connections = new Map<string, QmpConnection>();
  readonly #nbd = new Map<string, NbdProbe>();

  constructor(server: ServerUnderTest) {
    this.#server = server;
    this.#bindings = { dir: server.dir, fds: new Map() };
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    for (const probe of this.#nbd.values()) probe.close();
  }

  async step(step: Step): Promise<string[]> {
    try {
      await this.#act(step);
      return [...(await this.#sideEffects(step)), ...(await this.#replies(step))];
    } catch (error) {
      return [String(error)];
    }
  }

  // -- what the client does

  async #act(step: Step): Promise<void> {
    if (step.connect !== undefined) {
      const path = this.#server.sockets[step.monitor ?? 0] ?? '';
      this.#connections.set(step.connect, await QmpConnection.open(path));
    }
    if (step.close !== undefined) {
      this.#connection(step.close).close();
      this.#connections.delete(step.close);
      await sleep(PAUSE);
    }
    if (step.unblock !== undefined) await unblock(join(this.#server.dir, step.unblock));
    for (const [index, write] of writesOf(step).entries()) {
      if (index > 0) await sleep(PAUSE);
      this.#write(this.#connection(this.#nameOf(step)), write);
    }
    if (step.shutdown === true) this.#connection(this.#nameOf(step)).shutdown();
    if (step.signal !== undefined) this.#server.signal(step.signal);
  }

  #nameOf(step: Step): string {
    return step.connect ?? step.conn ?? 'a';
  }

  #connection(name: string): QmpConnection {
    const connection = this.#connections.get(name);
    if (connection === undefined) throw new Error(`there is no connection '${name}'`);
    return connection;
  }

  #write(connection: QmpConnection, write: WriteSpec): void {
    const opened = (write.fds ?? []).map((spec) => this.#server.fds.open(spec));
    connection.send(
      this.#bytes(write),
      opened.map(({ fd }) => fd),
    );
    for (const fd of opened.flatMap(({ extra }) => extra)) closeSync(fd);
  }

  #bytes(write: WriteSpec): Buffer {
    if (write.parts !== undefined) {
      return Buffer.concat(write.parts.flatMap((part) => Array<Buffer>(part.repeat ?? 1).fill(this.#bytes(part))));
    }
    if (write.hex !== undefined) return Buffer.from(write.hex, 'hex');
    const filled = (write.text ?? '')
      .replaceAll('${dir}', this.#server.dir)
      .replaceAll(/\$\{fd:(\w+)\}/g, (_, name: string) => String(this.#bindings.fds.get(name)));
    return Buffer.from(filled);
  }

  // -- what came of it, beside replies

  async #sideEffects(step: Step): Promise<string[]> {
    const found: string[] = [];
    if (step.exit !== undefined) {
      const status = await this.#server.exitStatus(TIMEOUT);
      if (status !== step.exit) found.push(`exit status ${status}, expected ${step.exit}`);
    }
    for (const [name, want] of Object.entries(step['fd-flags'] ?? {})) {
      const got = statusFlags(this.#server.fds.kept(name));
      if (got !== want) found.push(`flags of the client's fd ${name}: ${got}, expected ${want}`);
    }
    const file = step['read-file'];
    if (file !== undefined) {
      const content = readFileSync(join(this.#server.dir, file.file));
      const got = content.subarray(file.offset, file.offset + file.length).toString('hex');
      if (got !== file.hex) found.push(`content of ${file.file}: ${got}, expected ${file.hex}`);
    }
    if (step.nbd !== undefined) {
      const outcome = await this.#nbdAction(step.nbd);
      found.push(...differences(step.outcome, outcome, this.#bindings).map((text) => `NBD${text}`));
    }
    return found;
  }

  async #nbdAction(action: NbdAction): Promise<unknown> {
    const name = action.as ?? 'n';
    if (action.do === 'open') {
      const path = join(this.#server.dir, action.socket ?? 'nbd.sock');
      const { probe, outcome } = await NbdProbe.open(path, action.export ?? '');
      this.#nbd.get(name)?.close();
      this.#nbd.set(name, probe);
      return outcome;
    }
    const probe = this.#nbd.get(name);
    if (probe === undefined) throw new Error(`there is no NBD connection '${name}'`);
    if (action.do !== 'close') return probe.act(action);
    probe.close();
    await sleep(PAUSE);
    return {};
  }

  // -- the replies

  async #replies(step: Step): Promise<string[]> {
    const want = step.expect;
    if (want === undefined) return [];
    const connection = this.#connection(this.#nameOf(step));
    await connection.waitFor(() => connection.messages.length >= want.length, TIMEOUT);
    if (step['expect-eof'] === true) await connection.waitFor(() => false, TIMEOUT);
    else if (want.length === 0) await connection.waitFor(() => connection.messages.length > 0, SILENCE);
    const got = connection.take();
    const values = got.map(({ value }) => value);
    const found = step.unordered === true ? this.#unordered(want, values) : this.#ordered(want, values);
    if (step['expect-eof'] !== undefined && connection.eof !== step['expect-eof']) {
      found.push(`the connection is ${connection.eof ? 'closed' : 'still open'}`);
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

/** Opens a FIFO for writing and closes it again, once somebody reads it. */
async function unblock(path: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT;
  for (;;) {
    try {
      closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO' || Date.now() > deadline) throw error;
      await sleep(10);
    }
  }
}

/** A step without `writes` is one write itself. */
function writesOf(step: Step): readonly WriteSpec[] {
  if (step.writes !== undefined) return step.writes;
  const { send: text, hex, parts, fds } = step;
  if (text === undefined && hex === undefined && parts === undefined) return [];
  return [
    {
      ...(text !== undefined && { text }),
      ...(hex !== undefined && { hex }),
      ...(parts && { parts }),
      ...(fds && { fds }),
    },
  ];
}
