// How is a schema written down? One function per kind of type; what they return is plain data (types.ts).
import type {
  AlternateType,
  ArrayType,
  Branches,
  BuiltinName,
  BuiltinType,
  CommandDefinition,
  EnumType,
  EventDefinition,
  Features,
  LazyType,
  Member,
  Members,
  ObjectType,
  QapiType,
  StructType,
  UnionType,
  Variants,
} from './types.ts';

function builtin<N extends BuiltinName>(name: N): BuiltinType<N> {
  return Object.freeze({ kind: 'builtin', name });
}

/** A string. */
export const str = builtin('str');
/** A signed 64-bit integer, as `int64`. */
export const int = builtin('int');
export const int8 = builtin('int8');
export const int16 = builtin('int16');
export const int32 = builtin('int32');
export const int64 = builtin('int64');
export const uint8 = builtin('uint8');
export const uint16 = builtin('uint16');
export const uint32 = builtin('uint32');
/** An unsigned 64-bit integer; negative ones are taken modulo 2^64, as QEMU does. */
export const uint64 = builtin('uint64');
/** `uint64`, with a suffix such as `k` on a command line. */
export const size = builtin('size');
export const bool = builtin('bool');
/** A double; integers are accepted too. */
export const number = builtin('number');
export const nullType = builtin('null');
/** Any JSON value, handed on as it is. */
export const any = builtin('any');

/** One of the listed strings. `features` marks single values. */
export function enumeration<const V extends string>(
  name: string,
  values: readonly V[],
  options: { readonly features?: Readonly<Partial<Record<V, Features>>> } = {},
): EnumType<V> {
  const features = (options.features ?? {}) as Readonly<Record<string, Features>>;
  return Object.freeze({ kind: 'enum', name, values: Object.freeze(values), features });
}

/** A list of one type. */
export function array<E extends QapiType>(element: E): ArrayType<E> {
  return Object.freeze({ kind: 'array', element });
}

/** A member that may be absent; `null` is not absence. */
export function optional<T extends QapiType>(type: T, options: { readonly features?: Features } = {}): Member<T, true> {
  return Object.freeze({ kind: 'member', type, optional: true, features: options.features ?? [] });
}

/** A mandatory member with features; without any, write the bare type. */
export function required<T extends QapiType>(type: T, options: { readonly features: Features }): Member<T, false> {
  return Object.freeze({ kind: 'member', type, optional: false, features: options.features });
}

/** An object with the members of `base`, if any, and its own. */
export function struct<const M extends Members, B extends StructType | undefined = undefined>(
  name: string,
  members: M,
  options: { readonly base?: B; readonly features?: Features } = {},
): StructType<NoInfer<M>, NoInfer<B>> {
  const base = options.base as B;
  return Object.freeze({
    kind: 'struct',
    name,
    base,
    members: Object.freeze(members),
    features: options.features ?? [],
  });
}

/** A flat union; `base` is a struct or just its members, and holds the discriminator, an enumeration. */
export function union<const B extends StructType | Members, const D extends string, const V extends Variants>(
  name: string,
  parts: { readonly base: B; readonly discriminator: D; readonly variants: V },
): UnionType<AsStruct<B>, D, V> {
  const base = asObject(`q_obj_${name}-base`, parts.base) as AsStruct<B>;
  return Object.freeze({
    kind: 'union',
    name,
    base,
    discriminator: parts.discriminator,
    variants: Object.freeze(parts.variants),
  });
}

/** One of several types that differ in their kind of JSON value. The branch names are not on the wire. */
export function alternate<const B extends Branches>(name: string, branches: B): AlternateType<B> {
  return Object.freeze({ kind: 'alternate', name, branches: Object.freeze(branches) });
}

/** A type to be defined later, for a type that contains itself; see {@link LazyType} for `H`. */
export function lazy<H>(resolve: () => QapiType): LazyType<H> {
  return Object.freeze({ kind: 'lazy', resolve });
}

/** A QMP command. `data` is an object type or just the members. */
export function command<
  const D extends ObjectType | Members | undefined = undefined,
  R extends QapiType | undefined = undefined,
>(
  name: string,
  parts: { readonly data?: D; readonly returns?: R; readonly allowOob?: boolean; readonly features?: Features } = {},
): CommandDefinition<AsObject<D>, R> {
  return Object.freeze({
    kind: 'command',
    name,
    data: (parts.data && asObject(`q_obj_${name}-arg`, parts.data)) as AsObject<D>,
    returns: parts.returns as R,
    allowOob: parts.allowOob ?? false,
    features: parts.features ?? [],
  });
}

/** A QMP event. */
export function event<const D extends ObjectType | Members | undefined = undefined>(
  name: string,
  parts: { readonly data?: D; readonly features?: Features } = {},
): EventDefinition<AsObject<D>> {
  const data = (parts.data && asObject(`q_obj_${name}-arg`, parts.data)) as AsObject<D>;
  return Object.freeze({ kind: 'event', name, data, features: parts.features ?? [] });
}

type AsStruct<B> = B extends StructType ? B : B extends Members ? StructType<B, undefined> : never;
type AsObject<D> = D extends ObjectType
  ? D
  : D extends Members
    ? StructType<D, undefined>
    : D extends undefined
      ? undefined
      : never;

function asObject(name: string, data: ObjectType | Members): ObjectType {
  return isObjectType(data) ? data : struct(name, data);
}

/** A type has a string for `kind`; in plain members a `kind` would be a type. */
function isObjectType(data: ObjectType | Members): data is ObjectType {
  return typeof data.kind === 'string';
}
