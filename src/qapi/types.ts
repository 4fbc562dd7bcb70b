// What shapes can a schema have, and which TypeScript type belongs to each?
//
// A schema is visible data: plain frozen objects that the builders make (builders.ts) and that visitor.ts,
// introspect.ts and anything else can walk. The TypeScript type of a value comes from the schema by inference.
import type { JsonValue } from '../json/index.ts';

/** A 64-bit integer, exact: a number where that is a safe integer, else a bigint. */
export type Int64 = number | bigint;

/** The built-in types of QAPI. `int` is `int64` and `size` is `uint64`; on a command line a size takes a suffix. */
export type BuiltinName = keyof BuiltinValues;

interface BuiltinValues {
  readonly str: string;
  readonly int: Int64;
  readonly int8: number;
  readonly int16: number;
  readonly int32: number;
  readonly int64: Int64;
  readonly uint8: number;
  readonly uint16: number;
  readonly uint32: number;
  readonly uint64: Int64;
  readonly size: Int64;
  readonly bool: boolean;
  readonly number: number;
  readonly null: null;
  readonly any: JsonValue;
}

/** What introspection tells about a command, a member or a value, `deprecated` and `unstable` above all. */
export type Features = readonly string[];

export interface BuiltinType<N extends BuiltinName = BuiltinName> {
  readonly kind: 'builtin';
  readonly name: N;
}

export interface EnumType<V extends string = string> {
  readonly kind: 'enum';
  readonly name: string;
  readonly values: readonly V[];
  /** Features of single values. */
  readonly features: Readonly<Record<string, Features>>;
}

export interface ArrayType<E extends QapiType = QapiType> {
  readonly kind: 'array';
  readonly element: E;
}

/** A type as the member of an object, for what a type alone cannot say. */
export interface Member<T extends QapiType = QapiType, O extends boolean = boolean> {
  readonly kind: 'member';
  readonly type: T;
  readonly optional: O;
  readonly features: Features;
}

/** Members in schema order, which decides the error that is reported first. A bare type is a mandatory member. */
export interface Members {
  readonly [name: string]: QapiType | Member;
}

export interface StructType<M extends Members = Members, B extends AnyStruct | undefined = AnyStruct | undefined> {
  readonly kind: 'struct';
  readonly name: string;
  /** Its members come before the struct's own. */
  readonly base: B;
  readonly members: M;
  readonly features: Features;
}

/** Any struct; an interface, as a base is a struct too. */
export interface AnyStruct extends StructType {}

/** A flat union: the members of `base`, then those of the variant that the value of the discriminator chooses. */
export interface UnionType<
  B extends StructType = StructType,
  D extends string = string,
  V extends Variants = Variants,
> {
  readonly kind: 'union';
  readonly name: string;
  readonly base: B;
  /** The member of `base`, an enumeration, that chooses. */
  readonly discriminator: D;
  /** Values of the discriminator that are not listed add no members. */
  readonly variants: V;
}

export interface Variants {
  readonly [value: string]: ObjectType;
}

/** One of several types, told apart by the kind of JSON value. */
export interface AlternateType<B extends Branches = Branches> {
  readonly kind: 'alternate';
  readonly name: string;
  readonly branches: B;
}

export interface Branches {
  readonly [name: string]: QapiType;
}

/**
 * A type that is named before it is defined, for types that contain themselves. `H` is an interface
 * `{ type: typeof TheType }`: TypeScript resolves it late enough to allow the circle.
 */
export interface LazyType<H = unknown> {
  readonly kind: 'lazy';
  readonly resolve: () => QapiType;
  /** Never set; carries the type. */
  readonly holder?: H;
}

export type ObjectType = StructType | UnionType;
export type QapiType = BuiltinType | EnumType | ArrayType | StructType | UnionType | AlternateType | LazyType;

export interface CommandDefinition<
  D extends ObjectType | undefined = ObjectType | undefined,
  R extends QapiType | undefined = QapiType | undefined,
> {
  readonly kind: 'command';
  readonly name: string;
  /** The arguments; undefined: it takes none. */
  readonly data: D;
  /** The result; undefined: it has none, `{}` on the wire. */
  readonly returns: R;
  readonly allowOob: boolean;
  readonly features: Features;
}

export interface EventDefinition<D extends ObjectType | undefined = ObjectType | undefined> {
  readonly kind: 'event';
  readonly name: string;
  readonly data: D;
  readonly features: Features;
}

/**
 * The TypeScript type of a schema's values: 64-bit integers are {@link Int64}, narrower ones numbers. The patterns name
 * just what they need, since comparing whole types with each other has no end where types contain themselves.
 */
export type Infer<T> = T extends { readonly kind: 'builtin'; readonly name: infer N extends BuiltinName }
  ? BuiltinValues[N]
  : T extends { readonly kind: 'enum'; readonly values: readonly (infer V)[] }
    ? V
    : T extends { readonly kind: 'array'; readonly element: infer E }
      ? readonly (QapiType extends E ? unknown : Infer<E>)[]
      : T extends { readonly kind: 'struct' }
        ? Flat<AllMembers<T>>
        : T extends {
              readonly kind: 'union';
              readonly base: infer B;
              readonly discriminator: infer D;
              readonly variants: infer V;
            }
          ? InferUnion<AllMembers<B>, D, V>
          : T extends { readonly kind: 'alternate'; readonly branches: infer B }
            ? string extends keyof B
              ? unknown
              : Infer<B[keyof B]>
            : T extends { readonly kind: 'lazy'; readonly holder?: infer H }
              ? InferLazy<H>
              : never;

type Flat<T> = { [K in keyof T]: T[K] };

/** Arguments or data that have no members. */
export type NoMembers = Readonly<Record<string, never>>;

/** The members of a type of which only the kind is known, as in code that handles all commands. */
interface UnknownMembers {
  readonly [name: string]: unknown;
}

type OptionalNames<M> = { [K in keyof M]: M[K] extends { readonly optional: true } ? K : never }[keyof M];
type MemberValue<T> = T extends { readonly kind: 'member'; readonly type: infer U } ? Infer<U> : Infer<T>;
type OwnMembers<M> = {
  readonly [K in Exclude<keyof M, OptionalNames<M>>]: MemberValue<M[K]>;
} & { readonly [K in OptionalNames<M>]?: MemberValue<M[K]> | undefined };

type AllMembers<T> = T extends { readonly members: infer M; readonly base: infer B }
  ? string extends keyof M
    ? UnknownMembers
    : OwnMembers<M> & AllMembers<B>
  : unknown;

/** `B`: the members of the base; one object type for each value of the discriminator. */
type InferUnion<B, D, V> = string extends D
  ? UnknownMembers
  : D extends keyof B
    ? { [K in B[D] & string]: Flat<{ readonly [T in D]: K } & Omit<B, D> & VariantMembers<V, K>> }[B[D] & string]
    : never;
type VariantMembers<V, K> = K extends keyof V ? Infer<V[K]> : unknown;

type InferLazy<H> = H extends { readonly type: infer T } ? Infer<T> : never;

/** What a handler of the command gets. */
export type CommandArguments<C> = C extends { readonly kind: 'command'; readonly data: infer D }
  ? D extends QapiType
    ? Infer<D>
    : NoMembers
  : never;

/** What a handler of the command returns. */
export type CommandResult<C> = C extends { readonly kind: 'command'; readonly returns: infer R }
  ? R extends QapiType
    ? Infer<R>
    : void
  : never;

/** What is broadcast with the event. */
export type EventData<E> = E extends { readonly kind: 'event'; readonly data: infer D }
  ? D extends QapiType
    ? Infer<D>
    : undefined
  : never;
