// The commands of QEMU's qapi/qom.json: objects and their properties.
import type { JsonValue } from '../../json/index.ts';
import type { CommandRegistry } from '../../monitor/index.ts';
import {
  objectAdd,
  objectDel,
  qomGet,
  qomList,
  qomListProperties,
  qomListTypes,
  qomSet,
} from '../../qapi/schema/qom.ts';
import type { ObjectTree } from '../../qom/index.ts';

export function registerObjectCommands(registry: CommandRegistry, objects: ObjectTree): void {
  registry.register(objectAdd, (options) => objects.add(options));
  registry.register(objectDel, ({ id }) => objects.delete(id));
  registry.register(qomList, ({ path }) => objects.list(path));
  // A value of type `any` is typed as one that was parsed; it is only printed.
  registry.register(qomGet, ({ path, property }) => objects.get(path, property) as JsonValue);
  registry.register(qomSet, ({ path, property, value }) => objects.set(path, property, value));
  registry.register(qomListTypes, ({ implements: name, abstract = false }) => objects.listTypes(name, abstract));
  registry.register(qomListProperties, ({ typename }) => objects.listProperties(typename));
}
