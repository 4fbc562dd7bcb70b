// What does a server say of its own commands and events? The entries of query-qmp-schema. Type names other than those of
// builtins are made up by the server. Source: QEMU's qapi/introspect.json.

interface Named {
  readonly name: string;
  readonly features?: readonly string[];
}

export interface CommandInfo extends Named {
  readonly 'meta-type': 'command';
  /** The name of an object type. */
  readonly 'arg-type': string;
  readonly 'ret-type': string;
  readonly 'allow-oob'?: boolean;
}

export interface EventInfo extends Named {
  readonly 'meta-type': 'event';
  readonly 'arg-type': string;
}

export interface ObjectInfo extends Named {
  readonly 'meta-type': 'object';
  /** A member with a `default` (which is null) is optional. */
  readonly members: readonly (Named & { readonly type: string; readonly default?: null })[];
  /** The member that says which variant it is. */
  readonly tag?: string;
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
}

export interface AlternateInfo extends Named {
  readonly 'meta-type': 'alternate';
  readonly members: readonly { readonly type: string }[];
}

export interface EnumInfo extends Named {
  readonly 'meta-type': 'enum';
  readonly values: readonly string[];
  /** Since QEMU 6.2. */
  readonly members?: readonly Named[];
}

export interface ArrayInfo extends Named {
  readonly 'meta-type': 'array';
  readonly 'element-type': string;
}

export interface BuiltinInfo extends Named {
  readonly 'meta-type': 'builtin';
  readonly 'json-type': 'string' | 'number' | 'int' | 'boolean' | 'null' | 'object' | 'array' | 'value';
}

/** One entry of query-qmp-schema. */
export type SchemaInfo = CommandInfo | EventInfo | ObjectInfo | AlternateInfo | EnumInfo | ArrayInfo | BuiltinInfo;
