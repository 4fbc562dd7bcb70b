// What can stand at the end of a command line? Names of commands, keys of arguments, values of enums and booleans, files
// behind `@`, and what the server has at this moment: nodes, jobs, sets, devices (live-values.ts).
import type { SchemaMember, SchemaObject, SchemaType, ServerSchema } from '../introspection/index.ts';
import { completeFile } from './complete-file.ts';
import { LineError } from './line-error.ts';
import { splitWords, type Word } from './words.ts';

export interface Completion {
  /** What may stand in the place of `part`, the most useful first. */
  readonly candidates: readonly string[];
  /** The end of the line that a candidate replaces. */
  readonly part: string;
}

/** Asks the server for values that an argument can have now; an empty list where nothing is known. */
export type LiveValues = (command: string, key: string, given: ReadonlyMap<string, string>) => Promise<string[]>;

const nothing: Completion = { candidates: [], part: '' };

/**
 * Completes a line at its end.
 *
 * @param own words of the shell itself that stand where a command stands
 */
export async function complete(
  line: string,
  schema: ServerSchema,
  own: readonly string[],
  live: LiveValues,
): Promise<Completion> {
  const words = wordsOf(line);
  if (words === undefined) return nothing;
  const isNew = line === '' || /\s$/.test(line);
  const part = isNew ? '' : words.pop()!.text;
  if (words[0]?.text === 'help') return completeHelp(words.slice(1), part, schema);
  if (words.length === 0) return completeCommand(part, schema, own);
  const command = schema.commands.get(words[0]!.text);
  if (command === undefined) return nothing;
  if (part.startsWith('@')) return { candidates: completeFile(part), part };
  const given = givenKeys(words.slice(1));
  const equals = part.indexOf('=');
  if (equals < 0)
    return { candidates: await keysFor(schema, command.arguments, command.name, given, part, live), part };
  const [key, value] = [part.slice(0, equals), part.slice(equals + 1)];
  return completeValue(schema, command.arguments, { command: command.name, key, value, given }, live);
}

/** The words of a line that is not at an end yet; undefined within quotes or JSON, where nothing can be offered. */
function wordsOf(line: string): Word[] | undefined {
  try {
    const { words, open } = splitWords(line);
    const last = words.at(-1)?.text ?? '';
    return open === undefined || /(?:^|=)@["'][^"']*$/.test(last) ? [...words] : undefined;
  } catch (error) {
    if (error instanceof LineError) return undefined;
    throw error;
  }
}

function completeCommand(part: string, schema: ServerSchema, own: readonly string[]): Completion {
  const names = [...schema.commands.keys(), ...own].sort();
  const fitting = names.filter((name) => name.startsWith(part) && (!name.startsWith('x-') || part.startsWith('x')));
  return { candidates: fitting.map((name) => `${name} `), part };
}

function completeHelp(words: readonly Word[], part: string, schema: ServerSchema): Completion {
  if (words.length > 0) return nothing;
  const names = [...schema.commands.keys(), ...schema.events.keys()].sort();
  return { candidates: names.filter((name) => name.startsWith(part)).map((name) => `${name} `), part };
}

function givenKeys(words: readonly Word[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const { text } of words) {
    const equals = text.indexOf('=');
    if (equals > 0 && !text.startsWith('{')) given.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return given;
}

/** Keys of an object that begin with `part`; `prefix` is the keys that lead to it. */
async function keysFor(
  schema: ServerSchema,
  type: SchemaObject,
  command: string,
  given: ReadonlyMap<string, string>,
  part: string,
  live: LiveValues,
): Promise<string[]> {
  const place = objectAt(schema, type, part, given);
  if (place === undefined) return [];
  const members = schema.membersOf(place.object, (tag) => given.get(place.prefix + tag));
  const keys = members
    .filter(({ name, features }) => !features.includes('unstable') || part.startsWith(place.prefix + name.slice(0, 2)))
    .sort((a, b) => Number(a.optional) - Number(b.optional))
    .flatMap((member) => keysOf(schema, member, place.prefix));
  const more = await live(command, '', given);
  return [...keys, ...more.map((name) => `${name}=`)].filter(
    (key) => key.startsWith(part) && !(key.endsWith('=') && given.has(key.slice(0, -1))),
  );
}

/** `key=`, and `key.` where the value has parts. */
function keysOf(schema: ServerSchema, member: SchemaMember, prefix: string): string[] {
  const key = prefix + member.name;
  const types = branchesOf(schema, member.type);
  const scalar = types.some((type) => type.kind !== 'object' && !isListOfObjects(schema, type));
  const compound = types.some((type) => type.kind === 'object');
  const list = types.some((type) => isListOfObjects(schema, type));
  return [...(scalar ? [`${key}=`] : []), ...(compound ? [`${key}.`] : []), ...(list ? [`${key}.0.`] : [])];
}

function isListOfObjects(schema: ServerSchema, type: SchemaType): boolean {
  return type.kind === 'array' && branchesOf(schema, type.element).every(({ kind }) => kind === 'object');
}

function branchesOf(schema: ServerSchema, name: string): SchemaType[] {
  const type = schema.type(name);
  return type.kind === 'alternate' ? type.branches.flatMap((branch) => branchesOf(schema, branch)) : [type];
}

/** The object that the dots of a key lead to, and the key up to there, with its last dot. */
function objectAt(
  schema: ServerSchema,
  type: SchemaObject,
  key: string,
  given: ReadonlyMap<string, string>,
): { object: SchemaObject; prefix: string } | undefined {
  let object = type;
  let prefix = '';
  for (let dot = key.indexOf('.'); dot >= 0; dot = key.indexOf('.', prefix.length)) {
    const name = key.slice(prefix.length, dot);
    const leading = prefix;
    const member = schema
      .membersOf(object, (tag) => given.get(leading + tag))
      .find((candidate) => candidate.name === name);
    if (member === undefined) return undefined;
    prefix = key.slice(0, dot + 1);
    let types = branchesOf(schema, member.type);
    const index = /^\d+\./.exec(key.slice(prefix.length))?.[0];
    if (index !== undefined) {
      types = types.flatMap((each) => (each.kind === 'array' ? branchesOf(schema, each.element) : []));
      prefix += index;
    }
    const inner = types.find((each) => each.kind === 'object');
    if (inner === undefined) return undefined;
    object = inner;
  }
  return { object, prefix };
}

interface Asked {
  readonly command: string;
  readonly key: string;
  readonly value: string;
  readonly given: ReadonlyMap<string, string>;
}

async function completeValue(
  schema: ServerSchema,
  type: SchemaObject,
  asked: Asked,
  live: LiveValues,
): Promise<Completion> {
  const { command, key, value, given } = asked;
  if (value.startsWith('@')) return { candidates: completeFile(value), part: value };
  const part = value.slice(value.lastIndexOf(',') + 1);
  const place = objectAt(schema, type, key, given);
  const members = place ? schema.membersOf(place.object, (tag) => given.get(place.prefix + tag)) : [];
  const member = members.find(({ name }) => key === place!.prefix + name);
  const known = member === undefined ? [] : branchesOf(schema, member.type).flatMap((each) => valuesOf(schema, each));
  const values = known.length > 0 ? known : await live(command, key, given);
  return { candidates: values.filter((each) => each.startsWith(part)).map((each) => `${each} `), part };
}

function valuesOf(schema: ServerSchema, type: SchemaType): string[] {
  if (type.kind === 'enum') return type.values.map(({ name }) => name);
  if (type.kind === 'array') return branchesOf(schema, type.element).flatMap((each) => valuesOf(schema, each));
  if (type.kind === 'builtin' && type.json === 'boolean') return ['on', 'off'];
  return [];
}
