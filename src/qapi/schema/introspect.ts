// The schema's description of itself. QEMU's qapi/introspect.json.
import { any, array, bool, command, enumeration, optional, required, str, struct, union } from '../builders.ts';
import type { Infer } from '../types.ts';

export const SchemaMetaType = enumeration('SchemaMetaType', [
  'builtin',
  'enum',
  'array',
  'object',
  'alternate',
  'command',
  'event',
]);

export const JSONType = enumeration('JSONType', [
  'string',
  'number',
  'int',
  'boolean',
  'null',
  'object',
  'array',
  'value',
]);

export const SchemaInfoBuiltin = struct('SchemaInfoBuiltin', { 'json-type': JSONType });

export const SchemaInfoEnumMember = struct('SchemaInfoEnumMember', { name: str, features: optional(array(str)) });
export const SchemaInfoEnum = struct('SchemaInfoEnum', {
  members: array(SchemaInfoEnumMember),
  values: required(array(str), { features: ['deprecated'] }),
});

export const SchemaInfoArray = struct('SchemaInfoArray', { 'element-type': str });

/** `default` is there, and null, where the member is optional. */
export const SchemaInfoObjectMember = struct('SchemaInfoObjectMember', {
  name: str,
  type: str,
  default: optional(any),
  features: optional(array(str)),
});
export const SchemaInfoObjectVariant = struct('SchemaInfoObjectVariant', { case: str, type: str });
export const SchemaInfoObject = struct('SchemaInfoObject', {
  members: array(SchemaInfoObjectMember),
  tag: optional(str),
  variants: optional(array(SchemaInfoObjectVariant)),
});

export const SchemaInfoAlternateMember = struct('SchemaInfoAlternateMember', { type: str });
export const SchemaInfoAlternate = struct('SchemaInfoAlternate', { members: array(SchemaInfoAlternateMember) });

export const SchemaInfoCommand = struct('SchemaInfoCommand', {
  'arg-type': str,
  'ret-type': str,
  'allow-oob': optional(bool),
});
export const SchemaInfoEvent = struct('SchemaInfoEvent', { 'arg-type': str });

export const SchemaInfo = union('SchemaInfo', {
  base: { name: str, 'meta-type': SchemaMetaType, features: optional(array(str)) },
  discriminator: 'meta-type',
  variants: {
    builtin: SchemaInfoBuiltin,
    enum: SchemaInfoEnum,
    array: SchemaInfoArray,
    object: SchemaInfoObject,
    alternate: SchemaInfoAlternate,
    command: SchemaInfoCommand,
    event: SchemaInfoEvent,
  },
});
export type SchemaInfo = Infer<typeof SchemaInfo>;

export const queryQmpSchema = command('query-qmp-schema', { returns: array(SchemaInfo) });
