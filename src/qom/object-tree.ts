// Which objects are there, and what does a path lead to? The root holds three containers: `objects`, what object-add has
// made; `chardevs`; and `backend`, which is empty. As QEMU's qom/object_interfaces.c and qom-qmp-cmds.c.
import { FdsetError } from '../errors.ts';
import { inQemuOrder, type JsonOutput, type JsonValue } from '../json/index.ts';
import { expects, IDENTIFIER_HINT, isIdentifier, visit } from '../qapi/index.ts';
import type { ObjectOptions, ObjectPropertyInfo, ObjectTypeInfo } from '../qapi/index.ts';
import { allClasses, findClass, findCreatable, USER_CREATABLE } from './classes.ts';
import { GlibOrder } from './glib-order.ts';
import { findProperty, getProperty, lineage, propertiesOf, qomError, setProperty } from './qom-class.ts';
import { type QomClass, QomObject } from './qom-class.ts';

/** Something at a path: an object, or what only has children. */
interface TreeNode {
  readonly path: string;
  readonly className: string;
  readonly object?: QomObject;
  readonly children?: () => ReadonlyMap<string, TreeNode>;
}

/** Objects that others have made, to be listed: character devices. */
export interface ForeignObject {
  readonly id: string;
  readonly className: string;
}

export interface ObjectTreeOptions {
  /** The character devices as they are now. */
  readonly chardevs: () => Iterable<ForeignObject>;
  /** Whether containers are there that nothing has been put into yet: QEMU 10.0 has them from the start. */
  readonly emptyContainers: boolean;
}

export class ObjectTree {
  readonly #objects = new Map<string, QomObject>();
  readonly #order = new GlibOrder();
  readonly #chardevs: () => Iterable<ForeignObject>;

  readonly #emptyContainers: boolean;
  #wasUsed = false;

  constructor({ chardevs, emptyContainers }: ObjectTreeOptions) {
    this.#chardevs = chardevs;
    this.#emptyContainers = emptyContainers;
  }

  /** The object with this id, if object-add has made it, and if it is of that class where one is named. */
  find(id: string, className?: string): QomObject | undefined {
    const object = this.#objects.get(id);
    return className === undefined || object?.class.name === className ? object : undefined;
  }

  /**
   * Makes an object.
   *
   * @throws FdsetError with QEMU's text; then there is none
   */
  async add({ 'qom-type': className, id, ...properties }: ObjectOptions): Promise<void> {
    if (!isIdentifier(id)) throw expects('id', 'an identifier', IDENTIFIER_HINT);
    const object = new QomObject(findCreatable(className), id);
    const values = properties as Readonly<Record<string, unknown>>;
    for (const name of inQemuOrder(Object.keys(values))) {
      if (values[name] !== undefined) setProperty(object, name, values[name]);
    }
    if (this.#objects.has(id)) {
      throw qomError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    this.#objects.set(id, object);
    this.#order.add(id);
    this.#wasUsed = true;
    try {
      const context = { find: (other: string) => this.find(other), objects: this.#objects.values() };
      for (const { complete } of lineage(object.class)) await complete?.(object, context);
      object.completed = true;
    } catch (error) {
      this.#forget(id);
      throw error;
    }
  }

  /** @throws FdsetError with QEMU's text */
  delete(id: string): void {
    const object = this.#objects.get(id);
    if (object === undefined) throw qomError(`object '${id}' not found`);
    if (object.users.size > 0) throw qomError(`object '${id}' is in use, can not be deleted`);
    this.#forget(id);
  }

  #forget(id: string): void {
    this.#objects.delete(id);
    this.#order.delete(id);
  }

  /** qom-list. */
  list(path: string): ObjectPropertyInfo[] {
    const node = this.#resolve(path, { ambiguous: true });
    const children = [...(node.children?.() ?? [])];
    const own = node.object === undefined ? [] : describeProperties(node.object.class);
    const type = { name: 'type', type: 'string' };
    return [type, ...own, ...children.map(([name, { className }]) => ({ name, type: `child<${className}>` }))];
  }

  /** qom-get. */
  get(path: string, name: string): JsonOutput {
    const node = this.#resolve(path);
    if (name === 'type') return node.className;
    const child = node.children?.().get(name);
    if (child !== undefined) return child.path;
    if (node.object === undefined) throw noProperty(node.className, name);
    return getProperty(node.object, name);
  }

  /** qom-set. */
  set(path: string, name: string, value: JsonValue): void {
    const node = this.#resolve(path);
    if (name === 'type' || node.children?.().has(name)) {
      throw qomError(`Property '${node.className}.${name}' is not writable`);
    }
    if (node.object === undefined) throw noProperty(node.className, name);
    const { schema } = findProperty(node.object.class, name);
    setProperty(node.object, name, visit(schema, value, name));
  }

  /** qom-list-types. */
  listTypes(implemented: string | undefined, withAbstract: boolean): ObjectTypeInfo[] {
    return allClasses(this.#foreignClasses())
      .filter((one) => withAbstract || !one.abstract)
      .filter((one) => implemented === undefined || implemented === 'object' || implementsClass(one, implemented))
      .map(({ name, abstract, parent }) => ({ name, abstract, parent: parent?.name ?? parentOfRoot(name) }));
  }

  /** qom-list-properties. */
  listProperties(className: string): ObjectPropertyInfo[] {
    const type = { name: 'type', type: 'string' };
    return [type, ...describeProperties(findClass(className, this.#foreignClasses()))];
  }

  #foreignClasses(): QomClass[] {
    return [...this.#chardevs()].map(({ className }) => ({
      name: className,
      parent: { name: 'chardev', abstract: true },
    }));
  }

  #root(): TreeNode {
    const all: [string, boolean, () => ReadonlyMap<string, TreeNode>][] = [
      ['backend', false, () => new Map()],
      ['objects', this.#wasUsed, () => this.#objectNodes()],
      ['chardevs', this.#chardevNodes().size > 0, () => this.#chardevNodes()],
    ];
    const containers = all.filter(([, wasUsed]) => this.#emptyContainers || wasUsed);
    const children = new Map(
      containers.map(([name, , inside]) => [name, { path: `/${name}`, className: 'container', children: inside }]),
    );
    return { path: '/', className: 'container', children: () => children };
  }

  #objectNodes(): ReadonlyMap<string, TreeNode> {
    const objects = this.#order.listed().map((id) => this.#objects.get(id)!);
    return new Map(
      objects.map((object) => [object.id, { path: `/objects/${object.id}`, className: object.class.name, object }]),
    );
  }

  #chardevNodes(): ReadonlyMap<string, TreeNode> {
    const chardevs = new Map([...this.#chardevs()].map((one) => [one.id, one]));
    const nodes = new Map<string, TreeNode>();
    for (const id of new GlibOrder(chardevs.keys()).listed()) {
      nodes.set(id, { path: `/chardevs/${id}`, className: chardevs.get(id)!.className });
    }
    return nodes;
  }

  /**
   * What a path leads to: from the root, or, without a slash in front, from anywhere where just one way fits.
   *
   * @throws FdsetError DeviceNotFound; a GenericError for several ways, where that is to be told
   */
  #resolve(path: string, { ambiguous = false } = {}): TreeNode {
    const parts = path.split('/').filter((part) => part !== '');
    const found = path.startsWith('/') ? [descend(this.#root(), parts)] : matches(this.#root(), parts);
    const nodes = found.filter((node) => node !== undefined);
    if (nodes.length > 1 && ambiguous) throw qomError(`Path '${path}' is ambiguous`);
    if (nodes.length === 1) return nodes[0]!;
    throw new FdsetError('ERR_FDSET_QOM', `Device '${path}' not found`, { errorClass: 'DeviceNotFound' });
  }
}

function descend(node: TreeNode, parts: readonly string[]): TreeNode | undefined {
  let at: TreeNode | undefined = node;
  for (const part of parts) at = at?.children?.().get(part);
  return at;
}

/** Where a path leads from this node and from everything below it. */
function matches(node: TreeNode, parts: readonly string[]): TreeNode[] {
  const here = descend(node, parts);
  const below = [...(node.children?.().values() ?? [])].flatMap((child) => matches(child, parts));
  return here === undefined ? below : [here, ...below];
}

function describeProperties(definition: QomClass): ObjectPropertyInfo[] {
  return propertiesOf(definition).map(({ name, type }) => ({ name, type }));
}

/** A class without a parent is derived from the root, which has none. */
function parentOfRoot(name: string): string | undefined {
  return name === 'object' ? undefined : 'object';
}

function implementsClass(definition: QomClass, name: string): boolean {
  if (name === USER_CREATABLE) return lineage(definition).some(({ creatable }) => creatable);
  return lineage(definition).some((one) => one.name === name);
}

function noProperty(className: string, name: string): FdsetError {
  return qomError(`Property '${className}.${name}' not found`);
}
