// What is a class of QEMU's object model? A name, a parent, and properties, whose types and names come from the QAPI
// struct that object-add takes. Properties are kept as given and checked by the class.
import { FdsetError } from '../errors.ts';
import type { JsonOutput } from '../json/index.ts';
import type { QapiType, StructType } from '../qapi/index.ts';
import { GlibOrder } from './glib-order.ts';

export interface QomClass {
  readonly name: string;
  readonly parent?: QomClass;
  readonly abstract?: true;
  /** Can be made by object-add. */
  readonly creatable?: true;
  /** Its own properties are the own members of this struct, without its base. */
  readonly struct?: StructType;
  /** What a property is before it is set. */
  readonly defaults?: Readonly<Record<string, JsonOutput>>;
  /** Reads a property that is not kept as given; undefined: it is. */
  readonly get?: (object: QomObject, name: string) => JsonOutput | undefined;
  /**
   * Takes a value that fits the property's type.
   *
   * @returns true where the value is not to be kept, since it was dealt with
   * @throws FdsetError with QEMU's text
   */
  readonly set?: (object: QomObject, name: string, value: unknown) => boolean | void;
  /** Makes the object ready when all properties are set; throws FdsetError with QEMU's text. */
  readonly complete?: (object: QomObject, context: CompletionContext) => void | Promise<void>;
}

export interface CompletionContext {
  /** The object with this id. */
  readonly find: (id: string) => QomObject | undefined;
  /** All objects that are there, this one included. */
  readonly objects: Iterable<QomObject>;
}

/** An object that object-add has made. */
export class QomObject {
  readonly class: QomClass;
  readonly id: string;
  /** What was set, by property. */
  readonly values = new Map<string, unknown>();
  /** What uses it: as long as anything does, it cannot be deleted. */
  readonly users = new Set<object>();
  completed = false;
  /** What the class has made of the properties. */
  content: unknown;

  constructor(definition: QomClass, id: string) {
    this.class = definition;
    this.id = id;
  }
}

/** A property as its class declares it. */
export interface QomProperty {
  readonly name: string;
  readonly schema: QapiType;
  /** As listed: `string`, `int`, `bool`, or the name of an enumeration or struct. */
  readonly type: string;
  readonly owner: QomClass;
}

/** The properties of a class: those of its ancestors first, each class's own in the order in which QEMU lists them. */
export function propertiesOf(owner: QomClass): QomProperty[] {
  const { parent, struct } = owner;
  const own = Object.entries(struct?.members ?? {}).map(([name, member]) => {
    const schema = member.kind === 'member' ? member.type : member;
    return [name, { name, schema, type: typeName(schema), owner }] as const;
  });
  const byName = new Map(own);
  const listed = new GlibOrder(byName.keys()).listed().map((name) => byName.get(name)!);
  return parent === undefined ? listed : [...propertiesOf(parent), ...listed];
}

export function findProperty(definition: QomClass, name: string): QomProperty {
  const property = propertiesOf(definition).find((one) => one.name === name);
  if (property === undefined) throw qomError(`Property '${definition.name}.${name}' not found`);
  return property;
}

export function getProperty(object: QomObject, name: string): JsonOutput {
  const { owner } = findProperty(object.class, name);
  return owner.get?.(object, name) ?? keptValue(object, owner, name);
}

/** A property that is kept as given: what was set, or the default. */
export function keptValue(object: QomObject, owner: QomClass, name: string): JsonOutput {
  return (object.values.get(name) as JsonOutput | undefined) ?? owner.defaults?.[name] ?? null;
}

export function setProperty(object: QomObject, name: string, value: unknown): void {
  const { owner } = findProperty(object.class, name);
  if (owner.set?.(object, name, value) !== true) object.values.set(name, value);
}

/** The class and its ancestors, the farthest first. */
export function lineage(definition: QomClass): QomClass[] {
  return definition.parent === undefined ? [definition] : [...lineage(definition.parent), definition];
}

export function qomError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_QOM', message, { cause });
}

function typeName(type: QapiType): string {
  switch (type.kind) {
    case 'array':
      return typeName(type.element);
    case 'lazy':
      return typeName(type.resolve());
    case 'builtin':
      if (type.name === 'str') return 'string';
      if (/^u?int\d+$/.test(type.name)) return type.name === 'uint16' ? 'int' : `${type.name}_t`;
      return type.name;
    default:
      return type.name;
  }
}
