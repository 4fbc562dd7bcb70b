// What does query-qmp-schema answer? The commands and events, then every type they lead to, each described once, in the
// order in which they are met. Names of types are masked by numbers, as in QEMU: only their structure is interface.
import { struct } from './builders.ts';
import type { SchemaInfo } from './schema/introspect.ts';
import type {
  BuiltinName,
  CommandDefinition,
  EnumType,
  EventDefinition,
  Features,
  Member,
  ObjectType,
  QapiType,
  StructType,
} from './types.ts';

/** Types other than builtin ones and arrays: those that have a name to mask. */
type NamedType = Exclude<QapiType, { kind: 'builtin' | 'array' | 'lazy' }>;

const empty = struct('q_empty', {});

type JsonType = Extract<SchemaInfo, { 'meta-type': 'builtin' }>['json-type'];

/** Builtin types as introspection shows them: integers all the same. */
const jsonTypes: Readonly<Record<string, JsonType>> = {
  str: 'string',
  int: 'int',
  number: 'number',
  bool: 'boolean',
  null: 'null',
  any: 'value',
};

/**
 * Describes commands and events as `query-qmp-schema` does.
 *
 * @param options `realNames`: types under their own names, as QEMU's generator can do for debugging
 */
export function querySchema(
  commands: readonly CommandDefinition[],
  events: readonly EventDefinition[],
  options: { readonly realNames?: boolean } = {},
): SchemaInfo[] {
  const types = new UsedTypes(options.realNames ?? false);
  const entities = [
    ...commands.map((command) => describeCommand(command, types)),
    ...events.map((event) => describeEvent(event, types)),
  ];
  return [...entities, ...types.describeAll()];
}

/** The types met so far, and the names they go by. */
class UsedTypes {
  readonly #realNames: boolean;
  readonly #masks = new Map<NamedType, string>();
  /** By the name they are known by; describing one may add others. */
  readonly #descriptions = new Map<string, () => SchemaInfo>();

  constructor(realNames: boolean) {
    this.#realNames = realNames;
  }

  /** The name of a type, which is described from now on. */
  use(type: QapiType): string {
    switch (type.kind) {
      case 'lazy':
        return this.use(type.resolve());
      case 'builtin':
        return this.#useBuiltin(type.name);
      case 'array':
        return this.#useArray(type.element);
      default:
        return this.#useNamed(type);
    }
  }

  /** Iterating over a map meets what is added on the way. */
  *describeAll(): Generator<SchemaInfo> {
    for (const describe of this.#descriptions.values()) yield describe();
  }

  #useBuiltin(builtin: BuiltinName): string {
    const name = /^(u?int|size)/.test(builtin) ? 'int' : builtin;
    this.#add(name, () => ({ name, 'meta-type': 'builtin', 'json-type': jsonTypes[name]! }));
    return name;
  }

  #useArray(element: QapiType): string {
    const name = `[${this.use(element)}]`;
    this.#add(name, () => ({ name, 'meta-type': 'array', 'element-type': this.use(element) }));
    return name;
  }

  #useNamed(type: NamedType): string {
    const known = this.#masks.get(type);
    if (known !== undefined) return known;
    const name = this.#realNames ? type.name : String(this.#masks.size);
    if (this.#descriptions.has(name)) throw new Error(`two QAPI types are named ${name}`);
    this.#masks.set(type, name);
    this.#add(name, () => describeNamed(name, type, this));
    return name;
  }

  #add(name: string, describe: () => SchemaInfo): void {
    if (!this.#descriptions.has(name)) this.#descriptions.set(name, describe);
  }
}

function describeCommand(command: CommandDefinition, types: UsedTypes): SchemaInfo {
  return {
    name: command.name,
    'meta-type': 'command',
    'arg-type': types.use(command.data ?? empty),
    'ret-type': types.use(command.returns ?? empty),
    'allow-oob': command.allowOob || undefined,
    features: some(command.features),
  };
}

function describeEvent(event: EventDefinition, types: UsedTypes): SchemaInfo {
  return {
    name: event.name,
    'meta-type': 'event',
    'arg-type': types.use(event.data ?? empty),
    features: some(event.features),
  };
}

function describeNamed(name: string, type: NamedType, types: UsedTypes): SchemaInfo {
  switch (type.kind) {
    case 'enum':
      return describeEnum(name, type);
    case 'alternate': {
      const members = Object.values(type.branches).map((branch) => ({ type: types.use(branch) }));
      return { name, 'meta-type': 'alternate', members };
    }
    default:
      return describeObject(name, type, types);
  }
}

function describeEnum(name: string, type: EnumType): SchemaInfo {
  const members = type.values.map((value) => ({ name: value, features: some(type.features[value]) }));
  return { name, 'meta-type': 'enum', members, values: type.values };
}

function describeObject(name: string, type: ObjectType, types: UsedTypes): SchemaInfo {
  const object = type.kind === 'union' ? type.base : type;
  const members = [...membersOf(object)].map(([memberName, member]) => describeMember(memberName, member, types));
  if (type.kind === 'struct') return { name, 'meta-type': 'object', members, features: some(type.features) };
  const variants = Object.entries(type.variants).map(([value, variant]) => describeVariant(value, variant, types));
  const others = tagValues(object, type.discriminator).filter((value) => !Object.hasOwn(type.variants, value));
  variants.push(...others.map((value) => describeVariant(value, empty, types)));
  return { name, 'meta-type': 'object', members, tag: type.discriminator, variants };
}

function describeVariant(value: string, type: ObjectType, types: UsedTypes) {
  return { case: value, type: types.use(type) };
}

function describeMember(name: string, member: QapiType | Member, types: UsedTypes) {
  if (member.kind !== 'member') return { name, type: types.use(member) };
  const entry = { name, type: types.use(member.type), features: some(member.features) };
  return member.optional ? { ...entry, default: null } : entry;
}

function* membersOf(type: StructType): Generator<[string, QapiType | Member]> {
  if (type.base) yield* membersOf(type.base);
  yield* Object.entries(type.members);
}

function tagValues(base: StructType, discriminator: string): readonly string[] {
  for (const [name, member] of membersOf(base)) {
    if (name === discriminator && member.kind === 'enum') return member.values;
  }
  throw new Error(`the discriminator ${discriminator} of ${base.name} is not an enumeration`);
}

function some(features: Features | undefined): Features | undefined {
  return features && features.length > 0 ? features : undefined;
}
