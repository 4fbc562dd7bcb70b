// Does a server still answer as it did when the recording was made? The commands are sent again, in their order, each once
// everything that had come before it has come again: replies, and events by their names. Files are opened again by path
// and mode.
import { type EventStream, QmpError, type QmpClient } from '../client/index.ts';
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import { isJsonObject, type JsonObject, type JsonOutput, type JsonValue, writeJson } from '../json/index.ts';
import { parseResponse } from '../qmp/index.ts';
import type { PassedFile, RecordedMessage, Recording } from '../recording/index.ts';
import { differences, renumbered, renumberedText } from './differences.ts';

export interface ReplayOptions {
  /** Opens a file again; the replay owns the fd. */
  readonly open: (file: PassedFile) => OwnedFd;
  /** Milliseconds for each reply and each event. Default: 5000. */
  readonly timeoutMs?: number;
  /** Names of members that are not compared. */
  readonly ignore?: readonly string[];
}

/** Something that was otherwise than recorded. */
export interface Difference {
  /** The line of the recording. */
  readonly line: number;
  /** The command, or the event. */
  readonly name: string;
  readonly what: string;
}

export interface ReplayResult {
  readonly commands: number;
  readonly differences: readonly Difference[];
}

const DEFAULT_PATIENCE = 5000;

/** The reply to a command that was sent again. */
type Outcome = { readonly value: unknown } | { readonly error: unknown };

interface Sent {
  readonly name: string;
  readonly outcome: Promise<Outcome>;
}

/**
 * Plays a recording to a server.
 *
 * @throws FdsetError `ERR_FDSET_QMP_CLOSED`: the connection is lost; what `open` throws
 */
export function replay(recording: Recording, client: QmpClient, options: ReplayOptions): Promise<ReplayResult> {
  return new Replay(client, options).run(recording.messages);
}

class Replay {
  readonly #client: QmpClient;
  readonly #options: ReplayOptions;
  readonly #ignored: ReadonlySet<string>;
  readonly #timeoutMs: number;
  readonly #events: EventStream;
  readonly #sent = new Map<string, Sent>();
  readonly #sets = new Map<string, number | bigint>();
  readonly #fds = new Map<string, number | bigint>();
  readonly #found: Difference[] = [];
  #commands = 0;

  constructor(client: QmpClient, options: ReplayOptions) {
    this.#client = client;
    this.#options = options;
    this.#ignored = new Set(options.ignore);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_PATIENCE;
    this.#events = client.events();
  }

  async run(messages: readonly RecordedMessage[]): Promise<ReplayResult> {
    try {
      for (const message of messages) {
        if (message.from === 'client') this.#send(message);
        else await this.#expect(message);
      }
      return { commands: this.#commands, differences: this.#found };
    } finally {
      this.#events.close();
    }
  }

  #send({ message, files }: RecordedMessage): void {
    const isOob = message.has('exec-oob');
    const name = message.get(isOob ? 'exec-oob' : 'execute');
    if (typeof name !== 'string' || name === 'qmp_capabilities') return; // this client has negotiated for itself
    this.#commands++;
    const args = message.get('arguments');
    const fds: OwnedFd[] = [];
    try {
      for (const file of files) fds.push(this.#options.open(file));
      const sent = isJsonObject(args) ? this.#renumber('', args) : undefined;
      const reply = this.#client.execute(name, sent as never, {
        fds: fds.map(({ fd }) => fd),
        timeoutMs: this.#timeoutMs,
        ...(isOob && { oob: true }),
      });
      const outcome = reply.then(
        (value): Outcome => ({ value }),
        (error: unknown): Outcome => ({ error }),
      );
      this.#sent.set(idOf(message), { name, outcome });
    } finally {
      for (const fd of fds) fd.close();
    }
  }

  /** Ids of sets and fds that the server has chosen are others this time. */
  #renumber(name: string, value: JsonValue): JsonOutput {
    if (isJsonObject(value)) return new Map(Array.from(value, ([key, member]) => [key, this.#renumber(key, member)]));
    if (Array.isArray(value)) return value.map((element) => this.#renumber('', element));
    if (name === 'fd' && typeof value === 'number') return this.#fds.get(String(value)) ?? value;
    return renumbered(name, value, this.#sets);
  }

  async #expect(recorded: RecordedMessage): Promise<void> {
    const response = parseResponse(recorded.message);
    switch (response.kind) {
      case 'event':
        return this.#expectEvent(recorded.line, response.name, response.data);
      case 'return':
      case 'error': {
        const sent = this.#sent.get(idOf(recorded.message));
        if (sent === undefined) return; // of the negotiation
        const outcome = await sent.outcome;
        const what =
          response.kind === 'return' ? this.#compare(response.value, outcome) : this.#compareError(response, outcome);
        this.#note(recorded.line, sent.name, what);
        return;
      }
      case 'greeting':
      case 'garbage':
    }
  }

  #compare(recorded: JsonValue, outcome: Outcome): string[] {
    if ('error' in outcome) return [`it has failed: ${refusal(outcome.error)}`];
    this.#learn(recorded, outcome.value);
    return differences(recorded, outcome.value, this.#sets, this.#ignored);
  }

  #compareError(recorded: { errorClass: string; desc: string }, outcome: Outcome): string[] {
    if ('value' in outcome) return [`it has succeeded; ${recorded.errorClass} was recorded: ${recorded.desc}`];
    const desc = renumberedText(recorded.desc, this.#sets);
    const got = refusal(outcome.error);
    return withoutNumbers(got) === withoutNumbers(`${recorded.errorClass}: ${desc}`)
      ? []
      : [`${recorded.errorClass} was recorded: ${desc}; now: ${got}`];
  }

  /** The answer of add-fd says which numbers this run has. */
  #learn(recorded: JsonValue, got: unknown): void {
    if (!isJsonObject(recorded) || typeof got !== 'object' || got === null) return;
    const [set, fd] = [recorded.get('fdset-id'), recorded.get('fd')];
    const now = got as Record<string, unknown>;
    if (isInteger(set) && isInteger(now['fdset-id'])) this.#sets.set(String(set), now['fdset-id']);
    if (isInteger(fd) && isInteger(now['fd'])) this.#fds.set(String(fd), now['fd']);
  }

  /** Takes events until one of that name: others may be in between. */
  async #expectEvent(line: number, name: string, data: JsonObject | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#timeoutMs);
    });
    try {
      for (;;) {
        const next = await Promise.race([this.#events.next(), late]);
        if (next?.value === undefined) return this.#note(line, name, ['this event has not come']);
        if (next.value.name !== name) continue;
        return this.#note(line, name, differences(data ?? new Map(), next.value.data, this.#sets, this.#ignored));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #note(line: number, name: string, what: readonly string[]): void {
    for (const each of what) this.#found.push({ line, name, what: each });
  }
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function idOf(message: JsonObject): string {
  return writeJson(message.get('id') ?? null);
}

/** @throws the error itself where it is no answer of the server */
function refusal(error: unknown): string {
  if (error instanceof QmpError) return `${error.class}: ${error.desc}`;
  if (error instanceof FdsetError && error.code === 'ERR_FDSET_QMP_TIMEOUT') return error.message;
  throw error;
}

/** QEMU names fds in its texts: `fdset-id:1, fd:12`. */
function withoutNumbers(text: string): string {
  return text.replaceAll(/\bfd:\d+/g, 'fd:N');
}
