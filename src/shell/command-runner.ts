// How is a command line carried out? The command is looked up, its words become arguments by the server's schema, files
// are opened and passed, the command is sent, and what was made for it and not used is taken away again.
import { QmpError, type QmpClient } from '../client/index.ts';
import type { OwnedFd } from '../fds/index.ts';
import { ServerSchema } from '../introspection/index.ts';
import type { JsonOutput } from '../json/index.ts';
import { needsSchema, parseArguments, resolveFiles } from './arguments.ts';
import type { FileWord } from './file-word.ts';
import { unknownCommand } from './help.ts';
import type { Word } from './words.ts';

/** Opens a file of a command line; whoever calls owns the fd. */
export type FileOpener = (file: FileWord) => OwnedFd;

/** An fd set that was made for a file in the place of a name. */
export interface MadeSet {
  readonly set: number | bigint;
  readonly file: FileWord;
}

export interface CommandOutcome {
  /** What the command has returned. */
  readonly value: unknown;
  /** They stay until they are removed. */
  readonly sets: readonly MadeSet[];
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export class CommandRunner {
  readonly client: QmpClient;
  readonly #open: FileOpener;
  #schema: Promise<ServerSchema | undefined> | undefined;

  constructor(client: QmpClient, open: FileOpener) {
    this.client = client;
    this.#open = open;
  }

  /** The server's schema; undefined where it has none. */
  schema(): Promise<ServerSchema | undefined> {
    this.#schema ??= this.#askSchema();
    return this.#schema;
  }

  async #askSchema(): Promise<ServerSchema | undefined> {
    try {
      return ServerSchema.read(await this.client.querySchema());
    } catch (error) {
      if (error instanceof QmpError) return undefined;
      throw error;
    }
  }

  /**
   * Carries out a command line of at least one word.
   *
   * @throws LineError the line is no command of this server; QmpError the server has refused it
   */
  async run(words: readonly Word[], options: RunOptions = {}): Promise<CommandOutcome> {
    const [name, ...rest] = words as readonly [Word, ...Word[]];
    const schema = needsSchema(rest) ? await this.schema() : undefined;
    const command = schema?.commands.get(name.text);
    if (schema && !command) throw unknownCommand(name, schema);
    const more = name.text === 'device_add' ? await this.#deviceProperties(rest, options) : undefined;
    const line = parseArguments(rest, schema, command?.arguments, more);
    const made: MadeSet[] = [];
    const fds: OwnedFd[] = [];
    try {
      const args = (await resolveFiles(line.arguments, (file) => this.#pass(file, made, options))) as JsonOutput;
      for (const file of line.fds) fds.push(this.#open(file));
      const sent = line.arguments.size > 0 ? args : undefined;
      const value = await this.client.execute(name.text, sent as never, { ...options, fds: fds.map(({ fd }) => fd) });
      return { value, sets: made };
    } catch (error) {
      await this.#takeAway(made);
      throw await this.#explain(error, name);
    } finally {
      for (const fd of fds) fd.close();
    }
  }

  /** A name that the server does not know is better told with the one that was meant. */
  async #explain(cause: unknown, name: Word): Promise<unknown> {
    if (!(cause instanceof QmpError) || cause.class !== 'CommandNotFound' || cause.command !== name.text) return cause;
    const schema = await this.schema();
    return schema === undefined || schema.commands.has(name.text) ? cause : unknownCommand(name, schema);
  }

  /** device_add takes the properties of the device, of which its schema says nothing. Each with the name of its type. */
  async #deviceProperties(words: readonly Word[], options: RunOptions): Promise<Map<string, string>> {
    const driver = words.find(({ text }) => text.startsWith('driver='))?.text.slice('driver='.length);
    if (driver === undefined) return new Map();
    try {
      const answer = await this.client.execute('device-list-properties', { typename: driver }, options);
      const properties = answer as { readonly name: string; readonly type: string }[];
      return new Map(properties.flatMap(({ name, type }) => (isBuiltin(type) ? [[name, builtinOf(type)]] : [])));
    } catch (error) {
      if (error instanceof QmpError) return new Map(); // there is no such driver, as device_add is going to say
      throw error;
    }
  }

  /** Makes an fd set of a file and returns the name that opens it. */
  async #pass(file: FileWord, made: MadeSet[], options: RunOptions): Promise<string> {
    const { set, path } = await this.client.addFd(this.#open(file), { opaque: file.path, ...options });
    made.push({ set, file });
    return path;
  }

  /** The command has failed, so nobody has opened these. */
  async #takeAway(made: readonly MadeSet[]): Promise<void> {
    for (const { set } of made) {
      await this.client.execute('remove-fd', { 'fdset-id': set }, { timeoutMs: 5000 }).catch(() => undefined);
    }
  }
}

/** The types of properties that say how a value is written: QEMU has many others for texts. */
function isBuiltin(type: string): boolean {
  return type === 'bool' || type === 'str' || /^(?:u?int\d*|size)$/.test(type);
}

function builtinOf(type: string): string {
  return type === 'bool' || type === 'str' ? type : 'int';
}
