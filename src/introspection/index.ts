// What can this very server do? Its answer to query-qmp-schema as data, and what follows from that: names for the types
// that it masks, TypeScript types, a description for people. Pure: nothing here talks to a server.
//
// Read server-schema.ts first. Source: QEMU's docs/devel/qapi-code-gen, "Client JSON Protocol introspection".
export {
  ServerSchema,
  type SchemaAlternate,
  type SchemaArray,
  type SchemaCommand,
  type SchemaEnum,
  type SchemaEvent,
  type SchemaMember,
  type SchemaObject,
  type SchemaType,
} from './server-schema.ts';
export { generateTypes, type GenerateTypesOptions } from './typescript.ts';
