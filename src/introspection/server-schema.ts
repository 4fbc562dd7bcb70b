// What has a server answered to query-qmp-schema? Commands, events and types, looked up by name.
//
// The answer comes from a peer, perhaps newer than this library: what is not known here is left out, what is needed and
// missing is an error. Names of types are masked by numbers, so only `str`, `int`, `number`, `bool`, `null` and `any` say
// something.
import { FdsetError } from '../errors.ts';

export interface SchemaCommand {
  readonly name: string;
  /** The type of its arguments, always an object. */
  readonly arguments: SchemaObject;
  /** The name of the type that it returns. */
  readonly returns: string;
  readonly allowOob: boolean;
  readonly features: readonly string[];
}

export interface SchemaEvent {
  readonly name: string;
  readonly data: SchemaObject;
  readonly features: readonly string[];
}

/** The six types that are not made of others; QEMU masks the widths of integers. */
export interface SchemaBuiltin {
  readonly kind: 'builtin';
  readonly name: string;
  readonly json: 'string' | 'number' | 'int' | 'boolean' | 'null' | 'value';
}

export interface SchemaEnum {
  readonly kind: 'enum';
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly features: readonly string[] }[];
}

export interface SchemaArray {
  readonly kind: 'array';
  readonly name: string;
  readonly element: string;
}

export interface SchemaMember {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
  readonly features: readonly string[];
}

export interface SchemaObject {
  readonly kind: 'object';
  readonly name: string;
  readonly members: readonly SchemaMember[];
  /** The member that chooses the variant, where there are variants. */
  readonly tag: string | undefined;
  /** By the value of the tag: the name of the object type whose members come in addition. */
  readonly variants: ReadonlyMap<string, string>;
  readonly features: readonly string[];
}

/** One of several types, told apart by the kind of JSON value. */
export interface SchemaAlternate {
  readonly kind: 'alternate';
  readonly name: string;
  readonly branches: readonly string[];
}

export type SchemaType = SchemaBuiltin | SchemaEnum | SchemaArray | SchemaObject | SchemaAlternate;

/** A value as a client hands it out: objects are plain or maps. */
type Answer = unknown;

/** A server's schema, in the server's order. */
export class ServerSchema {
  readonly commands: ReadonlyMap<string, SchemaCommand>;
  readonly events: ReadonlyMap<string, SchemaEvent>;
  readonly #types: ReadonlyMap<string, SchemaType>;

  private constructor(entities: readonly Answer[]) {
    const types = new Map<string, SchemaType>();
    for (const entity of entities) {
      const type = readType(entity);
      if (type !== undefined) types.set(type.name, type);
    }
    this.#types = types;
    this.commands = new Map(
      ofKind(entities, 'command').map((entity) => [textOf(entity, 'name'), this.#command(entity)]),
    );
    this.events = new Map(ofKind(entities, 'event').map((entity) => [textOf(entity, 'name'), this.#event(entity)]));
  }

  /**
   * Reads the answer to query-qmp-schema.
   *
   * @throws FdsetError `ERR_FDSET_SCHEMA`: the answer is not a schema
   */
  static read(answer: unknown): ServerSchema {
    if (!Array.isArray(answer)) throw schemaError('it is not a list');
    return new ServerSchema(answer);
  }

  /**
   * A type by its name in the schema.
   *
   * @throws FdsetError `ERR_FDSET_SCHEMA`: the schema does not define it
   */
  type(name: string): SchemaType {
    const type = this.#types.get(name);
    if (type === undefined) throw schemaError(`type ${name} is not defined`);
    return type;
  }

  /** A type that has to be an object: of arguments, of a variant. */
  object(name: string): SchemaObject {
    const type = this.type(name);
    if (type.kind !== 'object') throw schemaError(`type ${name} is not an object`);
    return type;
  }

  /** The members that an object has: its own, and those of the variants that the values of the tags choose. */
  membersOf(object: SchemaObject, tagValue: (tag: string) => string | undefined): SchemaMember[] {
    const value = object.tag === undefined ? undefined : tagValue(object.tag);
    const variant = value === undefined ? undefined : object.variants.get(value);
    if (variant === undefined) return [...object.members];
    return [...object.members, ...this.membersOf(this.object(variant), tagValue)];
  }

  #command(entity: Answer): SchemaCommand {
    return {
      name: textOf(entity, 'name'),
      arguments: this.object(textOf(entity, 'arg-type')),
      returns: this.type(textOf(entity, 'ret-type')).name,
      allowOob: memberOf(entity, 'allow-oob') === true,
      features: featuresOf(entity),
    };
  }

  #event(entity: Answer): SchemaEvent {
    return {
      name: textOf(entity, 'name'),
      data: this.object(textOf(entity, 'arg-type')),
      features: featuresOf(entity),
    };
  }
}

function readType(entity: Answer): SchemaType | undefined {
  const name = textOf(entity, 'name');
  switch (memberOf(entity, 'meta-type')) {
    case 'builtin':
      return { kind: 'builtin', name, json: textOf(entity, 'json-type') as SchemaBuiltin['json'] };
    case 'enum':
      return { kind: 'enum', name, values: enumValues(entity) };
    case 'array':
      return { kind: 'array', name, element: textOf(entity, 'element-type') };
    case 'object':
      return readObject(name, entity);
    case 'alternate':
      return { kind: 'alternate', name, branches: listOf(entity, 'members').map((branch) => textOf(branch, 'type')) };
    default:
      return undefined;
  }
}

/** QEMU before 6.1 has only `values`. */
function enumValues(entity: Answer): SchemaEnum['values'] {
  if (memberOf(entity, 'members') === undefined) {
    return listOf(entity, 'values').map((value) => ({ name: String(value), features: [] }));
  }
  return listOf(entity, 'members').map((value) => ({ name: textOf(value, 'name'), features: featuresOf(value) }));
}

function readObject(name: string, entity: Answer): SchemaObject {
  const members = listOf(entity, 'members').map((member) => ({
    name: textOf(member, 'name'),
    type: textOf(member, 'type'),
    optional: memberOf(member, 'default') !== undefined,
    features: featuresOf(member),
  }));
  const tag = memberOf(entity, 'tag');
  const variants = tag === undefined ? [] : listOf(entity, 'variants');
  return {
    kind: 'object',
    name,
    members,
    tag: typeof tag === 'string' ? tag : undefined,
    variants: new Map(variants.map((variant) => [textOf(variant, 'case'), textOf(variant, 'type')])),
    features: featuresOf(entity),
  };
}

function ofKind(entities: readonly Answer[], metaType: string): Answer[] {
  return entities.filter((entity) => memberOf(entity, 'meta-type') === metaType);
}

function memberOf(object: Answer, name: string): Answer {
  if (object instanceof Map) return object.get(name);
  if (typeof object !== 'object' || object === null) throw schemaError('an entry is not an object');
  return Object.hasOwn(object, name) ? (object as Record<string, Answer>)[name] : undefined;
}

function textOf(object: Answer, name: string): string {
  const value = memberOf(object, name);
  if (typeof value !== 'string') throw schemaError(`an entry has no ${name}`);
  return value;
}

function listOf(object: Answer, name: string): readonly Answer[] {
  const value = memberOf(object, name);
  if (!Array.isArray(value)) throw schemaError(`an entry has no ${name}`);
  return value;
}

function featuresOf(object: Answer): string[] {
  const features = memberOf(object, 'features');
  return Array.isArray(features) ? features.map(String) : [];
}

function schemaError(why: string): FdsetError {
  return new FdsetError('ERR_FDSET_SCHEMA', `the server's schema cannot be used: ${why}`);
}
