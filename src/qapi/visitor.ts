// How is a value checked against its schema? Each type is compiled once into a function that returns the typed value
// or throws what QEMU would say, in QEMU's order: members in schema order, unexpected ones only when all others were
// fine.
import { JsonDouble, isJsonObject, type JsonObject, type JsonValue } from '../json/index.ts';
import { fullName, lastName, type Place } from './place.ts';
import { missing, refusedValue, unexpected, wrongType } from './qapi-error.ts';
import { jsonMode, keyvalMode, type InputMode, type Visit } from './scalars.ts';
import { unexpectedMember } from './unexpected-member.ts';
import type {
  AlternateType,
  ArrayType,
  BuiltinType,
  CommandArguments,
  CommandDefinition,
  EnumType,
  Infer,
  ObjectType,
  QapiType,
  StructType,
  UnionType,
} from './types.ts';

/**
 * The arguments of a command as its schema types them.
 *
 * @param given what the client sent as `arguments`; undefined is the same as `{}`
 * @throws QapiError with QEMU's text for the first offence
 */
export function visitArguments<C extends CommandDefinition>(
  command: C,
  given: JsonObject | undefined,
): CommandArguments<C> {
  return compileArguments(command)(given);
}

/** {@link visitArguments} for one command, compiled: for whoever calls it often. */
export function compileArguments<C extends CommandDefinition>(
  command: C,
): (given: JsonObject | undefined) => CommandArguments<C> {
  const visit = command.data ? compile(command.data, jsonMode) : visitNothing;
  return (given) => visit(given ?? noArguments, null, null) as CommandArguments<C>;
}

/** A JSON value as its schema types it; throws QapiError, whose paths begin with `name` if there is one. */
export function visit<const T extends QapiType>(type: T, value: JsonValue, name?: string): Infer<T> {
  return compile(type, jsonMode)(value, name ?? null, null) as Infer<T>;
}

/** The same for what parseKeyval() made of option text: strings are read as on QEMU's command line. */
export function visitKeyval<const T extends QapiType>(type: T, value: JsonValue): Infer<T> {
  return compile(type, keyvalMode)(value, null, null) as Infer<T>;
}

const noArguments: JsonObject = new Map();
const compiled = new Map<InputMode, WeakMap<QapiType, Visit>>([
  [jsonMode, new WeakMap()],
  [keyvalMode, new WeakMap()],
]);

function compile(type: QapiType, mode: InputMode): Visit {
  const known = compiled.get(mode)!;
  let visit = known.get(type);
  if (!visit) {
    visit = compileNew(type, mode);
    known.set(type, visit);
  }
  return visit;
}

function compileNew(type: QapiType, mode: InputMode): Visit {
  switch (type.kind) {
    case 'builtin':
      return compileBuiltin(type, mode);
    case 'enum':
      return compileEnum(type, mode);
    case 'array':
      return compileArray(type, mode);
    case 'struct':
    case 'union':
      return compileObject(type, mode);
    case 'alternate':
      return compileAlternate(type, mode);
    case 'lazy':
      return (value, name, place) => compile(type.resolve(), mode)(value, name, place);
  }
}

function compileBuiltin(type: BuiltinType, mode: InputMode): Visit {
  return mode.scalars[type.name];
}

function compileEnum(type: EnumType, mode: InputMode): Visit {
  const values = new Set<unknown>(type.values);
  return (value, name, place) => {
    if (values.has(value)) return value;
    throw refusedValue(lastName(name), mode.scalars.str(value, name, place) as string);
  };
}

function compileArray(type: ArrayType, mode: InputMode): Visit {
  const visitElement = compile(type.element, mode);
  return (value, name, parent) => {
    if (!Array.isArray(value)) throw wrongType(fullName(name, parent, mode.element), 'array');
    const here: Place = { parent, name, index: 0 };
    const list = [];
    for (const element of value) {
      list.push(visitElement(element, null, here));
      here.index++;
    }
    return list;
  };
}

type Kind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

function kindOf(value: JsonValue): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint' || value instanceof JsonDouble) return 'number';
  return typeof value as Kind;
}

function compileAlternate(type: AlternateType, mode: InputMode): Visit {
  const branches = new Map<Kind, Visit>();
  for (const branch of Object.values(type.branches)) branches.set(kindOfType(branch), compile(branch, mode));
  return (value, name, place) => {
    const visitBranch = branches.get(kindOf(value));
    if (!visitBranch) throw wrongType(lastName(name), type.name);
    return visitBranch(value, name, place);
  };
}

/** A lazy branch is an object: only those can contain themselves. */
function kindOfType(type: QapiType): Kind {
  if (type.kind === 'enum') return 'string';
  if (type.kind === 'array') return 'array';
  if (type.kind !== 'builtin') return 'object';
  if (type.name === 'str') return 'string';
  if (type.name === 'bool') return 'boolean';
  return type.name === 'null' ? 'null' : 'number';
}

/** Moves the members it knows from `from` to `to`; returns how many there were. */
type VisitMembers = (from: JsonObject, to: Record<string, unknown>, here: Place) => number;

function compileObject(type: ObjectType, mode: InputMode): Visit {
  return closed(compileMembers(type, mode), mode);
}

/** An object with no members but those. */
function closed(visitMembers: VisitMembers, mode: InputMode): Visit {
  return (value, name, parent) => {
    if (!isJsonObject(value)) throw wrongType(fullName(name, parent, mode.element), 'object');
    const here: Place = { parent, name, index: -1 };
    const result: Record<string, unknown> = {};
    if (visitMembers(value, result, here) !== value.size) {
      throw unexpected(fullName(unexpectedMember(value.keys(), Object.keys(result)), here, mode.element));
    }
    return result;
  };
}

const visitNothing = closed(() => 0, jsonMode);

function compileMembers(type: ObjectType, mode: InputMode): VisitMembers {
  return type.kind === 'struct' ? compileStruct(type, mode) : compileUnion(type, mode);
}

interface CompiledMember {
  readonly name: string;
  readonly optional: boolean;
  readonly visit: Visit;
}

function compileStruct(type: StructType, mode: InputMode): VisitMembers {
  const members = [...membersOf(type, mode)];
  return (from, to, here) => {
    let seen = 0;
    for (const member of members) {
      const value = from.get(member.name);
      if (value !== undefined) {
        to[member.name] = member.visit(value, member.name, here);
        seen++;
      } else if (!member.optional) {
        throw missing(fullName(member.name, here, mode.element));
      }
    }
    return seen;
  };
}

function* membersOf(type: StructType, mode: InputMode): Generator<CompiledMember> {
  if (type.base) yield* membersOf(type.base, mode);
  for (const [name, member] of Object.entries(type.members)) {
    const isMember = member.kind === 'member';
    yield {
      name,
      optional: isMember && member.optional,
      visit: compile(isMember ? member.type : member, mode),
    };
  }
}

/** Variants are compiled when first met: of the block drivers few are ever used. */
function compileUnion(type: UnionType, mode: InputMode): VisitMembers {
  const visitBase = compileStruct(type.base, mode);
  const variants = new Map(Object.entries(type.variants));
  const used = new Map<unknown, VisitMembers>();
  return (from, to, here) => {
    const seen = visitBase(from, to, here);
    const tag = to[type.discriminator] as string;
    let visitVariant = used.get(tag);
    if (!visitVariant) {
      const variant = variants.get(tag);
      visitVariant = variant ? compileMembers(variant, mode) : () => 0;
      used.set(tag, visitVariant);
    }
    return seen + visitVariant(from, to, here);
  };
}
