// How does a server's schema read in TypeScript? One file of types and nothing else, for `QmpClient<Name>`: commands with
// their arguments and results, events with their data.
//
//  QAPI                     | TypeScript
//  -------------------------|------------------------------------------------------------------------
//  int                      | number | bigint, as `Int`: the wire has 64 bits, and QEMU masks the width
//  number, str, bool, null  | number, string, boolean, null
//  any                      | unknown
//  enum                     | a union of literals
//  alternate                | a union
//  struct                   | an interface
//  union                    | what all variants have & a union by the value of the tag
//  array                    | an array
//  feature `deprecated`     | @deprecated
import type { SchemaMember, SchemaObject, SchemaType, ServerSchema } from './server-schema.ts';
import { nameTypes, type TypeName } from './names.ts';

export interface GenerateTypesOptions {
  /** The name of the schema type, for `QmpClient<Name>`. Default: `Qmp`. */
  readonly name?: string;
  /** Lines for the first comment: what server, and what has made the file. */
  readonly header?: readonly string[];
}

/** Commands that take what is not in their schema: the properties of the device. */
const openCommands: ReadonlySet<string> = new Set(['device_add']);

const builtins = { string: 'string', number: 'number', int: 'Int', boolean: 'boolean', null: 'null', value: 'unknown' };

/** The text of a file of types. */
export function generateTypes(schema: ServerSchema, options: GenerateTypesOptions = {}): string {
  const name = options.name ?? 'Qmp';
  return new TypesFile(schema, name).text(options.header ?? []);
}

class TypesFile {
  readonly #schema: ServerSchema;
  readonly #name: string;
  readonly #names: ReadonlyMap<string, TypeName>;
  /** Objects that take members beyond those of the schema. */
  readonly #open: ReadonlySet<string>;

  constructor(schema: ServerSchema, name: string) {
    this.#schema = schema;
    this.#name = name;
    this.#names = nameTypes(schema, [name, 'Int', 'Record']);
    const commands = Array.from(openCommands, (command) => schema.commands.get(command));
    this.#open = new Set(commands.flatMap((command) => (command ? [command.arguments.name] : [])));
  }

  text(header: readonly string[]): string {
    const parts = [
      header.map((line) => `// ${line}\n`).join(''),
      '/** An integer: a number where that is exact, else a bigint. */\nexport type Int = number | bigint;\n',
      `/** For \`QmpClient<${this.#name}>\`. */\nexport interface ${this.#name} {\n`,
      `  commands: {\n${this.#commands()}  };\n  events: {\n${this.#events()}  };\n}\n`,
    ];
    for (const [type, { name, origin }] of this.#names) parts.push(this.#define(this.#schema.type(type), name, origin));
    return parts.join('');
  }

  #commands(): string {
    return Array.from(this.#schema.commands.values(), (command) => {
      const { name, arguments: args, returns, features, allowOob } = command;
      const parts = [
        ...(isEmpty(args) ? [] : [`arguments: ${this.#refer(args.name)}`]),
        ...(this.#isEmpty(returns) ? [] : [`returns: ${this.#refer(returns)}`]),
      ];
      const doc = docOf(features, allowOob ? ['May be run out of band.'] : []);
      return `${doc && `    ${doc}\n`}    ${key(name)}: ${parts.length === 0 ? '{}' : `{ ${parts.join('; ')} }`};\n`;
    }).join('');
  }

  #events(): string {
    return Array.from(this.#schema.events.values(), ({ name, data, features }) => {
      const doc = docOf(features);
      return `${doc && `    ${doc}\n`}    ${key(name)}: ${this.#refer(data.name)};\n`;
    }).join('');
  }

  #define(type: SchemaType, name: string, origin: string): string {
    switch (type.kind) {
      case 'enum': {
        const notes = type.values.filter((value) => value.features.length > 0);
        const doc = notes.map((value) => `\`${value.name}\` is ${value.features.join(', ')}.`);
        const values = type.values.map((value) => literal(value.name)).join(' | ');
        return `/** ${[origin, ...doc].join('. ')} */\nexport type ${name} = ${values || 'never'};\n`;
      }
      case 'alternate':
        return `/** ${origin} */\nexport type ${name} = ${type.branches.map((branch) => this.#refer(branch)).join(' | ')};\n`;
      case 'object':
        return isEmpty(type) ? '' : this.#defineObject(type, name, origin);
      default:
        return '';
    }
  }

  #defineObject(type: SchemaObject, name: string, origin: string): string {
    const doc = `${docOf(type.features, [origin])}\n`;
    const own = type.members.filter((member) => member.name !== type.tag);
    const members = own.map((member) => this.#member(member)).join('');
    if (type.tag === undefined) {
      const more = this.#open.has(type.name) ? '  [property: string]: unknown;\n' : '';
      return `${doc}export interface ${name} {\n${members}${more}}\n`;
    }
    const base = own.length === 0 ? '' : `{\n${members}} & `;
    return `${doc}export type ${name} = ${base}(\n${this.#variants(type, type.tag)});\n`;
  }

  #member(member: SchemaMember): string {
    const doc = docOf(member.features);
    const text = `  ${key(member.name)}${member.optional ? '?' : ''}: ${this.#refer(member.type)};\n`;
    return doc === '' ? text : `  ${doc}\n${text}`;
  }

  /** A line for each type of variant, which several values may share. */
  #variants(union: SchemaObject, tag: string): string {
    const valuesOf = new Map<string, string[]>();
    for (const [value, variant] of union.variants) {
      const shared = this.#isEmpty(variant) ? '' : variant;
      valuesOf.set(shared, [...(valuesOf.get(shared) ?? []), literal(value)]);
    }
    const lines = Array.from(valuesOf, ([variant, values]) => {
      const chosen = `{ ${key(tag)}: ${values.join(' | ')} }`;
      return variant === '' ? `  | ${chosen}\n` : `  | (${chosen} & ${this.#refer(variant)})\n`;
    });
    return lines.join('');
  }

  #isEmpty(name: string): boolean {
    return isEmpty(this.#schema.type(name));
  }

  /** How a type is written where it is used. */
  #refer(name: string): string {
    const type = this.#schema.type(name);
    if (type.kind === 'builtin') return builtins[type.json] ?? 'unknown';
    if (type.kind === 'array') {
      const element = this.#refer(type.element);
      return `${element}[]`;
    }
    return isEmpty(type) ? 'Record<string, never>' : this.#names.get(type.name)!.name;
  }
}

function isEmpty(type: SchemaType): boolean {
  return type.kind === 'object' && type.members.length === 0 && type.tag === undefined;
}

/** Features as a comment, or nothing where nothing is to be said. */
function docOf(features: readonly string[], sentences: readonly string[] = []): string {
  const parts = [...sentences];
  if (features.includes('unstable')) parts.push('Unstable.');
  const others = features.filter((feature) => feature !== 'deprecated' && feature !== 'unstable');
  if (others.length > 0) parts.push(`Features: ${others.join(', ')}.`);
  if (features.includes('deprecated')) parts.push('@deprecated');
  return parts.length === 0 ? '' : `/** ${parts.join(' ')} */`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name);
}

function literal(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
