// Which arguments does a command line give? Words become an object: `key=value`, dotted keys for what is inside
// (`file.driver=file`, `actions.0.type=abort`), JSON objects, and `@FILE:rw` for an fd that goes with the command. The
// schema says which keys there are; the value of a union's tag (driver=qcow2) decides over the rest, wherever it stands.
import { isJsonObject, JsonParseError, parseJson, type JsonObject } from '../json/index.ts';
import type { SchemaMember, SchemaObject, ServerSchema } from '../introspection/index.ts';
import { nearest } from './nearest.ts';
import { type FileWord, parseFileWord } from './file-word.ts';
import { LineError, type Span } from './line-error.ts';
import { FileReference, type LineValue, NotAValue, typedValue, untypedValue } from './typed-value.ts';
import type { Word } from './words.ts';

export interface LineArguments {
  readonly arguments: Map<string, LineValue>;
  /** Files whose fds go with the command, in order. */
  readonly fds: readonly FileWord[];
}

/** One `key=value` of a line, with what of the key is still to be matched. */
interface Entry {
  readonly key: string;
  readonly value: string;
  /** The whole key as written, for errors. */
  readonly fullKey: string;
  readonly keySpan: Span;
  readonly valueSpan: Span;
}

/**
 * Reads the words behind a command.
 *
 * @param type what the command takes; undefined: unknown, values are what they look like
 * @param more what it takes beyond that, each with the name of its type, where it takes more at all
 * @throws LineError
 */
export function parseArguments(
  words: readonly Word[],
  schema: ServerSchema | undefined,
  type: SchemaObject | undefined,
  more?: ReadonlyMap<string, string>,
): LineArguments {
  const given: JsonObject[] = [];
  const fds: FileWord[] = [];
  const entries: Entry[] = [];
  for (const word of words) {
    const file = parseFileWord(word.text);
    if (word.text.startsWith('{')) given.push(jsonObject(word));
    else if (file !== undefined) fds.push(file);
    else entries.push(entryOf(word));
  }
  const reader = schema && new Reader(schema);
  const read = reader && type ? reader.object(type, entries, more) : untypedObject(entries);
  const args = new Map<string, LineValue>();
  for (const object of [...given, read]) for (const [name, value] of object) args.set(name, value);
  return { arguments: args, fds };
}

/** Whether reading these words takes a schema: JSON and files speak for themselves. */
export function needsSchema(words: readonly Word[]): boolean {
  return words.some(({ text }) => !text.startsWith('{') && parseFileWord(text) === undefined);
}

function jsonObject(word: Word): JsonObject {
  try {
    const value = parseJson(word.text);
    if (isJsonObject(value)) return value;
    throw new LineError('the arguments of a command are a JSON object', word);
  } catch (error) {
    if (error instanceof JsonParseError) throw new LineError(`this is not JSON: ${error.message}`, word);
    throw error;
  }
}

function entryOf(word: Word): Entry {
  const equals = word.text.indexOf('=');
  if (equals <= 0) {
    throw new LineError(`'${word.text}' is no argument: give key=value, a JSON object, or @FILE:rw for an fd`, word);
  }
  const key = word.text.slice(0, equals);
  return {
    key,
    fullKey: key,
    value: word.text.slice(equals + 1),
    keySpan: { start: word.start, end: word.start + equals },
    valueSpan: { start: word.start + equals + 1, end: word.end },
  };
}

class Reader {
  readonly #schema: ServerSchema;

  constructor(schema: ServerSchema) {
    this.#schema = schema;
  }

  object(type: SchemaObject, entries: readonly Entry[], more?: ReadonlyMap<string, string>): Map<string, LineValue> {
    const members = this.#schema.membersOf(type, tagsOf(entries));
    const groups = groupByMember(members, entries);
    const object = new Map<string, LineValue>();
    for (const [name, group] of groups) {
      const member = members.find((each) => each.name === name);
      const typeName = member?.type ?? more?.get(name);
      if (typeName !== undefined) object.set(name, this.#value(typeName, group));
      else if (more !== undefined) object.set(name, untyped(group));
      else throw unknownKey(type, members, entries, group[0]!);
    }
    return object;
  }

  #value(typeName: string, group: readonly Entry[]): LineValue {
    const [first] = group;
    if (group.some(({ key }) => key !== '')) return this.#compound(typeName, group);
    if (group.length > 1) throw new LineError(`${first!.fullKey} is given more than once`, group[1]!.keySpan);
    try {
      return typedValue(this.#schema, typeName, first!.value);
    } catch (error) {
      if (!(error instanceof NotAValue)) throw error;
      throw new LineError(`${first!.fullKey} takes ${error.message}`, first!.valueSpan);
    }
  }

  /** A value of which the line gives the parts. */
  #compound(typeName: string, parts: readonly Entry[]): LineValue {
    const whole = parts.find((part) => part.key === '');
    if (whole) throw new LineError(`${whole.fullKey} is given as a whole and in parts`, whole.keySpan);
    const type = this.#schema.type(typeName);
    switch (type.kind) {
      case 'object':
        return this.object(type, parts);
      case 'array':
        return listOf(parts, (element) => this.#value(type.element, element));
      case 'alternate': {
        const isList = parts.every(({ key }) => /^\d+(?:\.|$)/.test(key));
        const branch = type.branches.find((name) => this.#schema.type(name).kind === (isList ? 'array' : 'object'));
        if (branch !== undefined) return this.#compound(branch, parts);
        break;
      }
      case 'builtin':
        if (type.json === 'value') return untyped(parts);
        break;
      case 'enum':
    }
    const { fullKey, key, keySpan } = parts[0]!;
    throw new LineError(`${fullKey.slice(0, -key.length - 1)} has no members`, keySpan);
  }
}

/** The value that is given for a tag. */
function tagsOf(entries: readonly Entry[]): (tag: string) => string | undefined {
  return (tag) => entries.find(({ key }) => key === tag)?.value;
}

/** The entries of each member, with the member's name taken from their keys. Names may contain dots: the longest wins. */
function groupByMember(members: readonly SchemaMember[], entries: readonly Entry[]): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const fitting = members.filter(({ name }) => entry.key === name || entry.key.startsWith(`${name}.`));
    const longest = fitting.sort((a, b) => b.name.length - a.name.length)[0];
    const name = longest?.name ?? firstPart(entry.key);
    const rest = { ...entry, key: entry.key.slice(name.length + 1) };
    groups.set(name, [...(groups.get(name) ?? []), rest]);
  }
  return groups;
}

function firstPart(key: string): string {
  const dot = key.indexOf('.');
  return dot < 0 ? key : key.slice(0, dot);
}

function unknownKey(
  type: SchemaObject,
  members: readonly SchemaMember[],
  entries: readonly Entry[],
  entry: Entry,
): LineError {
  const place = entry.key === '' ? entry.fullKey : entry.fullKey.slice(0, -entry.key.length - 1);
  const name = place.split('.').at(-1)!;
  if (type.tag !== undefined && tagsOf(entries)(type.tag) === undefined) {
    const tagKey = place.slice(0, place.length - name.length) + type.tag;
    return new LineError(`give ${tagKey}= as well: it decides whether there is ${place}`, entry.keySpan);
  }
  const names = members.map((member) => member.name);
  const close = nearest(name, names);
  if (close !== undefined) return new LineError(`there is no ${place}: do you mean ${close}?`, entry.keySpan);
  const known = names.length === 0 ? 'it takes no arguments' : `there are ${names.join(', ')}`;
  return new LineError(`there is no ${place}: ${known}`, entry.keySpan);
}

/** Parts with keys 0, 1, 2 and so on, in any order. */
function listOf(parts: readonly Entry[], read: (element: Entry[]) => LineValue): LineValue[] {
  const elements = new Map<number, Entry[]>();
  for (const part of parts) {
    const index = /^\d{1,6}(?=\.|$)/.exec(part.key)?.[0];
    if (index === undefined) throw new LineError(`${part.fullKey}: a list takes numbers from 0 on`, part.keySpan);
    const rest = { ...part, key: part.key.slice(index.length + 1) };
    elements.set(Number(index), [...(elements.get(Number(index)) ?? []), rest]);
  }
  return Array.from({ length: elements.size }, (_, index) => {
    const element = elements.get(index);
    if (element === undefined) {
      throw new LineError(`${parts[0]!.fullKey}: element ${index} is missing`, parts[0]!.keySpan);
    }
    return read(element);
  });
}

function untypedObject(entries: readonly Entry[]): Map<string, LineValue> {
  const object = new Map<string, LineValue>();
  for (const [name, group] of groupByMember([], entries)) object.set(name, untyped(group));
  return object;
}

function untyped(group: readonly Entry[]): LineValue {
  const [first] = group;
  if (group.length === 1 && first!.key === '') return untypedValue(first!.value);
  const whole = group.find(({ key }) => key === '');
  if (whole) throw new LineError(`${whole.fullKey} is given more than once`, whole.keySpan);
  if (group.every(({ key }) => /^\d+(?:\.|$)/.test(key))) return listOf(group, untyped);
  return untypedObject(group);
}

/** Puts something in the place of each file that stands for a name. */
export async function resolveFiles(value: LineValue, resolve: (file: FileWord) => Promise<string>): Promise<LineValue> {
  if (value instanceof FileReference) return resolve(value.file);
  if (value instanceof Map) {
    const object = new Map<string, LineValue>();
    for (const [name, member] of value) object.set(name, await resolveFiles(member, resolve));
    return object;
  }
  if (!Array.isArray(value)) return value;
  const list: LineValue[] = [];
  for (const element of value) list.push(await resolveFiles(element, resolve));
  return list;
}
