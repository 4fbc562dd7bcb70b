// What are the types of a schema called? QEMU masks their names. Types that this package knows from its own schema get
// their real names, found by walking both schemas from the commands they share; the others are named after the place
// where they are met first: `query-status` returns a `Status`, its member `status` is a `StatusStatus`.
import { querySchema, type CommandDefinition, type EventDefinition } from '../qapi/index.ts';
import * as qapi from '../qapi/index.ts';
import { ServerSchema, type SchemaObject, type SchemaType } from './server-schema.ts';

/** Members whose name says nothing without that of their owner. */
const vague = new Set(
  'type data mode status format value name id action state kind options props info result reason size src dst u'.split(
    ' ',
  ),
);

/** What a type is called, and where it is met first: `query-block → inserted`. */
export interface TypeName {
  readonly name: string;
  readonly origin: string;
}

/**
 * A name for every enum, alternate and object that a schema uses, none twice, in the order in which they are met.
 *
 * @param taken names that are used for something else
 */
export function nameTypes(schema: ServerSchema, taken: Iterable<string>): Map<string, TypeName> {
  const names = new Names(taken);
  for (const [type, name] of knownNames(schema)) names.give(type, name);
  const named = new Map<string, TypeName>();
  for (const { type, place, member, origin } of places(schema, (name) => names.get(name))) {
    const short = member !== undefined && !vague.has(member) ? pascal(member) : undefined;
    const name = names.give(type, ...(short === undefined ? [place] : [short, place]));
    named.set(type, { name, origin });
  }
  return named;
}

class Names {
  readonly #given = new Map<string, string>();
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  get(type: string): string | undefined {
    return this.#given.get(type);
  }

  /** Gives a type the first of these names that is free, unless it has one; returns what it is called. */
  give(type: string, ...wanted: string[]): string {
    const known = this.#given.get(type);
    if (known !== undefined) return known;
    const last = wanted.at(-1)!;
    let name = wanted.find((candidate) => !this.#taken.has(candidate));
    for (let number = 2; name === undefined; number++) {
      if (!this.#taken.has(`${last}${number}`)) name = `${last}${number}`;
    }
    this.#taken.add(name);
    this.#given.set(type, name);
    return name;
  }
}

/** A place where a type that wants a name is used. */
interface Place {
  readonly type: string;
  /** A name after all that leads there. */
  readonly place: string;
  /** The member that it is the type of. */
  readonly member: string | undefined;
  readonly origin: string;
}

/** The first place of every type: those of commands and events first, then those within types, level by level. */
function* places(schema: ServerSchema, nameOf: (type: string) => string | undefined): Generator<Place> {
  const queue: { readonly object: SchemaObject; readonly origin: string }[] = [];
  const met = new Set<string>();
  function* meet(name: string, place: string, origin: string, member?: string): Generator<Place> {
    const { type, isList } = elementOf(schema, name);
    if (type.kind === 'builtin' || met.has(type.name)) return;
    met.add(type.name);
    const one = (text: string): string => (isList ? singular(text) : text);
    yield { type: type.name, place: one(place), member: member && one(member), origin };
    if (type.kind === 'object') queue.push({ object: type, origin });
    if (type.kind === 'alternate')
      for (const branch of type.branches) yield* meet(branch, `${one(place)}Value`, origin);
  }
  for (const { name, arguments: args, returns } of schema.commands.values()) {
    yield* meet(args.name, `${pascal(name)}Arguments`, name);
    const query = /^(?:x-)?query-(.+)$/.exec(name);
    yield* meet(returns, query ? pascal(query[1]!) : `${pascal(name)}Result`, name);
  }
  for (const { name, data } of schema.events.values())
    yield* meet(data.name, `${pascal(name.toLowerCase())}Data`, name);
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { object, origin } = next;
    const owner = nameOf(object.name)!.replace(/Arguments$/, '');
    for (const { name, type } of object.members) yield* meet(type, owner + pascal(name), `${origin} → ${name}`, name);
    for (const [value, type] of object.variants) {
      yield* meet(type, owner + pascal(value), `${origin} → ${object.tag}=${value}`);
    }
  }
}

function elementOf(schema: ServerSchema, name: string): { type: SchemaType; isList: boolean } {
  const type = schema.type(name);
  return type.kind === 'array' ? { type: elementOf(schema, type.element).type, isList: true } : { type, isList: false };
}

function pascal(name: string): string {
  const text = name.replaceAll(/(?:^|[^a-zA-Z0-9]+)([a-zA-Z0-9]?)/g, (_, first: string) => first.toUpperCase());
  return /^[0-9]/.test(text) ? `N${text}` : text;
}

function singular(name: string): string {
  if (/(?:[^aeiou]|qu)ies$/.test(name)) return `${name.slice(0, -3)}y`;
  return /[^su]s$/.test(name) ? name.slice(0, -1) : name;
}

/** Real names: of the types that stand where this package's own schema has one. */
function knownNames(schema: ServerSchema): Map<string, string> {
  const known = new Map<string, string>();
  const own = ServerSchema.read(querySchema(ownDefinitions('command'), ownDefinitions('event'), { realNames: true }));
  const pairs: [string, string][] = [];
  for (const command of schema.commands.values()) {
    const ours = own.commands.get(command.name);
    if (ours) pairs.push([command.arguments.name, ours.arguments.name], [command.returns, ours.returns]);
  }
  for (const event of schema.events.values()) {
    const ours = own.events.get(event.name);
    if (ours) pairs.push([event.data.name, ours.data.name]);
  }
  for (let pair = pairs.shift(); pair !== undefined; pair = pairs.shift()) {
    const [theirs, ours] = [schema.type(pair[0]), own.type(pair[1])];
    if (theirs.kind !== ours.kind || known.has(theirs.name)) continue;
    if (theirs.kind !== 'array' && theirs.kind !== 'builtin') known.set(theirs.name, ours.name);
    pairs.push(...partsOf(theirs, ours));
  }
  for (const [type, name] of known) if (!/^[A-Z]\w*$/.test(name) || isEmpty(schema, type)) known.delete(type);
  return known;
}

function partsOf(theirs: SchemaType, ours: SchemaType): [string, string][] {
  if (theirs.kind === 'array' && ours.kind === 'array') return [[theirs.element, ours.element]];
  if (theirs.kind === 'alternate' && ours.kind === 'alternate' && theirs.branches.length === ours.branches.length) {
    return theirs.branches.map((branch, index) => [branch, ours.branches[index]!]);
  }
  if (theirs.kind !== 'object' || ours.kind !== 'object') return [];
  const members = new Map(ours.members.map(({ name, type }) => [name, type]));
  const parts: [string, string | undefined][] = [
    ...theirs.members.map(({ name, type }): [string, string | undefined] => [type, members.get(name)]),
    ...Array.from(theirs.variants, ([value, type]): [string, string | undefined] => [type, ours.variants.get(value)]),
  ];
  return parts.filter((part): part is [string, string] => part[1] !== undefined);
}

function isEmpty(schema: ServerSchema, name: string): boolean {
  const type = schema.type(name);
  return type.kind === 'object' && type.members.length === 0 && type.tag === undefined;
}

function ownDefinitions(kind: 'command'): CommandDefinition[];
function ownDefinitions(kind: 'event'): EventDefinition[];
function ownDefinitions(kind: string): unknown[] {
  return Object.values(qapi).filter((value) => typeof value === 'object' && 'kind' in value && value.kind === kind);
}
