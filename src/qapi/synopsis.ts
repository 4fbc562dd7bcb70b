// How is an option written that a QAPI type describes? One line for each variant, from the schema:
// `[type=]nbd,id=<str>,node-name=<str>[,writable=on|off]…`. In keyval syntax, as keyval.ts reads it.
import type { Member, ObjectType, QapiType, StructType } from './types.ts';

export interface SynopsisOptions {
  /** The key that the first value needs not name. */
  readonly impliedKey?: string;
  /** Only these variants of a union. */
  readonly variants?: readonly string[];
}

/** The forms of an option, each without line ends. */
export function synopsis(type: ObjectType, { impliedKey, variants }: SynopsisOptions = {}): string[] {
  const written = (lists: readonly Written[]): string[] => lists.map((list) => join(inOrder(list, impliedKey)));
  if (type.kind === 'struct') return written(expand(allMembers(type)));
  const { discriminator, base } = type;
  const chosen = variants ?? Object.keys(type.variants);
  return chosen.flatMap((value) => {
    const rest = allMembers(base).filter(([name]) => name !== discriminator);
    const variant = type.variants[value];
    const own = variant === undefined ? [] : structMembers(variant);
    const tag: Written = [{ key: discriminator, value, optional: false }];
    return written(expand([...rest, ...own]).map((list) => [...tag, ...list]));
  });
}

interface Pair {
  readonly key: string;
  readonly value: string;
  readonly optional: boolean;
}
type Written = readonly Pair[];
type NamedMember = readonly [string, QapiType | Member];

function structMembers(type: ObjectType): NamedMember[] {
  return allMembers(type.kind === 'union' ? type.base : type);
}

function allMembers({ base, members }: StructType): NamedMember[] {
  return [...(base ? allMembers(base) : []), ...Object.entries(members)];
}

/** A union among the members, such as an address, gives one list for each of its variants. */
function expand(members: readonly NamedMember[], prefix = '', within = false): Written[] {
  let lists: Written[] = [[]];
  for (const [name, member] of members) {
    const optional = within || (member.kind === 'member' && member.optional);
    const forms = formsOf(`${prefix}${name}`, member.kind === 'member' ? member.type : member, optional);
    lists = lists.flatMap((list) => forms.map((form) => [...list, ...form]));
  }
  return lists;
}

function formsOf(key: string, type: QapiType, optional: boolean): Written[] {
  switch (type.kind) {
    case 'struct':
      return expand(allMembers(type), `${key}.`, optional);
    case 'union':
      return Object.entries(type.variants).flatMap(([value, variant]) => {
        const tag = { key: `${key}.${type.discriminator}`, value, optional };
        return expand(structMembers(variant), `${key}.`, optional).map((list) => [tag, ...list]);
      });
    case 'array':
      return [[{ key: `${key}.0`, value: valueOf(type.element), optional }]];
    default:
      return [[{ key, value: valueOf(type), optional }]];
  }
}

function valueOf(type: QapiType): string {
  if (type.kind === 'enum') return type.values.join('|');
  if (type.kind === 'builtin') return type.name === 'bool' ? 'on|off' : `<${type.name}>`;
  return type.kind === 'array' || type.kind === 'lazy' ? '…' : `<${type.name}>`;
}

/** What must be there first, and of that the implied key. */
function inOrder(list: Written, impliedKey: string | undefined): Pair[] {
  const rank = ({ key, optional }: Pair): number => (key === impliedKey ? 0 : optional ? 2 : 1);
  return list
    .toSorted((a, b) => rank(a) - rank(b))
    .map((pair) => (pair.key === impliedKey ? { ...pair, key: `[${pair.key}=]` } : pair));
}

function join(pairs: readonly Pair[]): string {
  const texts = pairs.map(({ key, value, optional }, index) => {
    const text = key.endsWith('=]') ? `${key}${value}` : `${key}=${value}`;
    const comma = index === 0 ? '' : ',';
    return optional ? `[${comma}${text}]` : `${comma}${text}`;
  });
  return texts.join('');
}
