// QAPI: schemas that are values. A schema is plain data built by builders.ts; its TypeScript types are inferred, and
// from it come validation with QEMU's texts (visitor.ts), introspection (introspect.ts) and the reading of command-line
// options (keyval.ts). Nothing is declared twice. Read types.ts first, then schema/misc.ts, then visitor.ts.
//
// Source: QEMU's docs/devel/qapi-code-gen and the recorded transcripts `arguments`.
export { compileArguments, visit, visitArguments, visitKeyval } from './visitor.ts';
export * from './schema/index.ts';
export type { CommandArguments, CommandResult, EventData, Infer, Int64 } from './types.ts';
export { querySchema } from './introspect.ts';
export { RevisedSchema, type Revision } from './revision.ts';
export { REVISION_7_2 } from './schema-7-2.ts';
export { visitOption } from './option.ts';
export { parseKeyval, parseKeyvalOrHelp } from './keyval.ts';
export {
  describeOptionList,
  IDENTIFIER_HINT,
  isIdentifier,
  parseQemuOpts,
  type OptionList,
  type OptionWarning,
  type QemuOpts,
} from './qemu-opts.ts';
export { addFdOptions, chardevOptions } from './option-lists.ts';
export { synopsis } from './synopsis.ts';
export { asInt64 } from './cutils.ts';
export {
  alternate,
  any,
  array,
  bool,
  command,
  enumeration,
  event,
  int,
  int16,
  int32,
  int64,
  int8,
  lazy,
  nullType,
  number,
  optional,
  required,
  size,
  str,
  struct,
  uint16,
  uint32,
  uint64,
  uint8,
  union,
} from './builders.ts';
export type { CommandDefinition, EventDefinition, Member, QapiType, StructType } from './types.ts';
export { QapiError, expects, refusedValue } from './qapi-error.ts';
