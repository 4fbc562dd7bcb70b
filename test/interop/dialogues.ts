// How is the dialogue of a client played? The format of test/fixtures/dialogues/ is described in its README.md.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { QmpConnection } from '../qmp-connection.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';
import { normaliseRaw } from '../transcripts/match.ts';
import type { FileSpec, WriteSpec } from '../transcripts/scenario.ts';
import { ServerUnderTest } from '../transcripts/server.ts';

interface DialogueHeader {
  readonly client: string;
  readonly transport?: 'inherited';
  readonly files?: Readonly<Record<string, FileSpec>>;
}

export interface DialogueStep {
  readonly does: string;
  readonly connect?: boolean;
  readonly send?: string;
  readonly writes?: readonly WriteSpec[];
  readonly answers?: number;
  readonly refused?: number;
  readonly compare?: 'kind';
  readonly ends?: boolean;
  readonly 'emulator-only'?: boolean;
  readonly needs?: string;
  readonly 'not-here'?: string;
}

export interface Dialogue {
  readonly header: DialogueHeader;
  readonly steps: readonly DialogueStep[];
}

/** A server to play to. */
export interface DialogueServer {
  readonly command: readonly string[];
  /** Whose spelling of options it takes. */
  readonly kind: 'system' | 'storage-daemon';
  /** A client that comes in its first moments is greeted twice: it is given time. */
  readonly slowStart?: boolean;
}

/** What came back in a step, fds and version under names. */
export interface Heard {
  readonly does: string;
  readonly text: string;
  readonly messages: readonly unknown[];
  /** The files behind the fds that were taken into sets in this step. */
  readonly files: readonly string[];
}

export function loadDialogues(folder: string): Dialogue[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => {
      const [header, ...steps] = readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown);
      return { header: header as DialogueHeader, steps: steps as DialogueStep[] };
    });
}

/** Plays the steps that `chosen` admits to a fresh server. */
export async function play(
  { header, steps }: Dialogue,
  server: DialogueServer,
  chosen: (step: DialogueStep) => boolean,
): Promise<Heard[]> {
  const player = await Player.start(header, server);
  try {
    const heard: Heard[] = [];
    for (const [index, step] of steps.entries()) {
      if (index === 0 || chosen(step)) heard.push(await player.step(step));
    }
    return heard;
  } finally {
    await player.stop();
  }
}

/** The names of the commands that a server has. */
export async function commandsOf(server: DialogueServer): Promise<Set<string>> {
  const player = await Player.start({ client: 'nobody' }, server);
  try {
    await player.step({ does: 'negotiates', send: '{"execute": "qmp_capabilities"}' });
    const [reply] = (await player.step({ does: 'asks', send: '{"execute": "query-commands"}' })).messages;
    return new Set((reply as { return: { name: string }[] }).return.map(({ name }) => name));
  } finally {
    await player.stop();
  }
}

let names = 0;

class Player {
  readonly #server: ServerUnderTest;
  readonly #name = `${process.pid}-${++names}`;
  /** Numbers of the fds in sets, under names in the order of their coming. */
  readonly #fds = new Map<string, number>();
  #added = 0;
  #connection: QmpConnection;

  private constructor(server: ServerUnderTest, connection: QmpConnection) {
    this.#server = server;
    this.#connection = connection;
  }

  static async start(header: DialogueHeader, { command, kind, slowStart }: DialogueServer): Promise<Player> {
    const scenario = { scenario: header.client, server: kind, ...(header.files && { files: header.files }) };
    const inherited = header.transport === 'inherited';
    const server = await ServerUnderTest.start(
      inherited ? { ...scenario, ...overPair(kind) } : scenario,
      command,
      listeningSocket,
    );
    try {
      if (slowStart === true && !inherited) await sleep(400);
      const connection = inherited
        ? QmpConnection.over(server.fds.give('client'))
        : await QmpConnection.open(server.sockets[0]!);
      return new Player(server, connection);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async step(step: DialogueStep): Promise<Heard> {
    if (step.connect === true) await this.#reconnect();
    const greetings = this.#greeted ? 0 : 1;
    this.#greeted = true;
    for (const write of step.writes ?? [{ text: step.send ?? '' }]) this.#write(write);
    const answers = greetings + (step.answers ?? 1);
    await this.#connection.waitFor(() => this.#answers().length >= answers, 10_000);
    if (step.ends === true) await this.#connection.readEnd();
    const messages = this.#answers();
    this.#connection.take();
    const files = messages.flatMap(({ value }) => this.#named(value));
    const bindings = { dir: this.#server.dir, fds: this.#fds };
    const text = messages.map((message) => normaliseRaw(message.text, bindings)).join('');
    return { does: step.does, text, messages: messages.map(({ value }) => value), files };
  }

  #greeted = false;

  async stop(): Promise<void> {
    this.#connection.close();
    await this.#server.stop();
  }

  async #reconnect(): Promise<void> {
    this.#connection.close();
    this.#connection = await QmpConnection.open(this.#server.sockets[0]!);
    this.#greeted = false;
  }

  #write({ text = '', fds = [] }: WriteSpec): void {
    const opened = fds.map((spec) => this.#server.fds.open(spec));
    const bytes = text.replaceAll('${dir}', this.#server.dir).replaceAll('${name}', this.#name);
    this.#connection.send(
      bytes,
      opened.map(({ fd }) => fd),
    );
    for (const { extra } of opened) this.#server.fds.close(extra);
  }

  /** What has come but for the events of a machine, which no storage daemon runs. */
  #answers(): readonly { text: string; value: unknown }[] {
    const isOfMachine = ({ value }: { value: unknown }): boolean =>
      ['SHUTDOWN', 'STOP', 'RESUME'].includes((value as { event?: string }).event ?? '');
    return this.#connection.messages.filter((message) => !isOfMachine(message));
  }

  /** Gives the fd of an add-fd its name; which file it is. */
  #named(message: unknown): string[] {
    const added = (message as { return?: { fd?: number } }).return?.fd;
    if (added === undefined) return [];
    for (const [name, number] of this.#fds) if (number === added) this.#fds.delete(name);
    this.#fds.set(`added${++this.#added}`, added);
    return [basename(readlinkSync(`/proc/${this.#server.pid}/fd/${added}`))];
  }
}

/** A monitor over a socket pair, whose other end is the client's. */
function overPair(kind: DialogueServer['kind']): { monitors: 0; 'inherit-fds': string[]; args: string[] } {
  const dashes = kind === 'system' ? '-' : '--';
  const monitor = kind === 'system' ? ['-mon', 'chardev=qmp,mode=control'] : ['--monitor', 'qmp'];
  return {
    monitors: 0,
    'inherit-fds': ['socket:client'],
    args: [`${dashes}chardev`, 'socket,id=qmp,fd=${inherit:0}', ...monitor],
  };
}
