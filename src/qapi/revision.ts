// How does the schema look in another version of QEMU? A revision says by the names of types how each differs; what is
// built from them, commands and events, follows.
import { array, lazy } from './builders.ts';
import type {
  CommandDefinition,
  EnumType,
  EventDefinition,
  LazyType,
  Member,
  Members,
  ObjectType,
  QapiType,
  StructType,
  UnionType,
  Variants,
} from './types.ts';

/** What a type was; it is given the type of this schema. */
export type Edit = (type: QapiType) => QapiType;

export interface Revision {
  /** Commands and events that there were not. */
  readonly absent: ReadonlySet<string>;
  /** By the names of types; the members of a command or union without a struct of their own are `q_obj_…`. */
  readonly edits: Readonly<Record<string, Edit>>;
}

/** The commands and events of one version. */
export class RevisedSchema {
  readonly #revision: Revision;
  readonly #types = new Map<QapiType, QapiType>();

  constructor(revision: Revision) {
    this.#revision = revision;
  }

  /** The command as it was; undefined where there was none. What its handler takes and returns has to fit both. */
  command(definition: CommandDefinition): CommandDefinition | undefined {
    const { name, data, returns } = definition;
    if (this.#revision.absent.has(name)) return undefined;
    return { ...definition, data: data && this.#object(data), returns: returns && this.type(returns) };
  }

  event(definition: EventDefinition): EventDefinition | undefined {
    const { name, data } = definition;
    return this.#revision.absent.has(name) ? undefined : { ...definition, data: data && this.#object(data) };
  }

  /** The same object for the same type, so that it is still told apart by identity. */
  type(type: QapiType): QapiType {
    const known = this.#types.get(type);
    if (known !== undefined) return known;
    const edit = 'name' in type ? this.#revision.edits[type.name] : undefined;
    const revised = this.#revise(edit === undefined ? type : edit(type));
    this.#types.set(type, revised);
    return revised;
  }

  /** What contains itself does so by way of a lazy type, which ends the recursion. */
  #revise(type: QapiType): QapiType {
    switch (type.kind) {
      case 'builtin':
      case 'enum':
        return type;
      case 'lazy':
        return this.#lazy(type);
      case 'array':
        return array(this.type(type.element));
      case 'alternate': {
        const branches = Object.entries(type.branches).map(([name, branch]) => [name, this.type(branch)] as const);
        return { ...type, branches: Object.fromEntries(branches) };
      }
      case 'struct':
        return { ...type, base: type.base && this.#struct(type.base), members: this.#members(type.members) };
      case 'union': {
        const variants = Object.entries(type.variants).map(([name, variant]) => [name, this.#object(variant)] as const);
        return { ...type, base: this.#struct(type.base), variants: Object.fromEntries(variants) };
      }
    }
  }

  #lazy(type: LazyType): QapiType {
    return lazy(() => this.type(type.resolve()));
  }

  #members(members: Members): Members {
    const revised = Object.entries(members).map(([name, member]): [string, QapiType | Member] => [
      name,
      member.kind === 'member' ? { ...member, type: this.type(member.type) } : this.type(member),
    ]);
    return Object.fromEntries(revised);
  }

  #object(type: ObjectType): ObjectType {
    return this.type(type) as ObjectType;
  }

  #struct(type: StructType): StructType {
    return this.type(type) as StructType;
  }
}

/** It had not these members, values or variants. */
export function without(...names: readonly string[]): Edit {
  const omit = <T>(entries: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(entries).filter(([name]) => !names.includes(name)));
  return (type) => {
    switch (type.kind) {
      case 'enum':
        return { ...type, values: type.values.filter((value) => !names.includes(value)) } satisfies EnumType;
      case 'struct':
        return { ...type, members: omit(type.members) } satisfies StructType;
      case 'union':
        return { ...type, variants: omit<Variants[string]>(type.variants) } satisfies UnionType;
      default:
        return type;
    }
  };
}

/** It had exactly these members, in this order, and no base. */
export function members(...names: readonly string[]): Edit {
  return (type) => {
    if (type.kind !== 'struct') return type;
    const known = allMembers(type);
    return { ...type, base: undefined, members: Object.fromEntries(names.map((name) => [name, known[name]!])) };
  };
}

/** These values or members had no features. */
export function unmarked(...names: readonly string[]): Edit {
  return (type) => {
    if (type.kind === 'enum') {
      const features = Object.entries(type.features).filter(([name]) => !names.includes(name));
      return { ...type, features: Object.fromEntries(features) };
    }
    if (type.kind !== 'struct') return type;
    const plain = Object.entries(type.members).map(([name, member]): [string, QapiType | Member] => [
      name,
      names.includes(name) && member.kind === 'member' ? { ...member, features: [] } : member,
    ]);
    return { ...type, members: Object.fromEntries(plain) };
  };
}

/** One edit after the other. */
export function both(one: Edit, other: Edit): Edit {
  return (type) => other(one(type));
}

function allMembers(type: StructType): Members {
  return { ...(type.base && allMembers(type.base)), ...type.members };
}
