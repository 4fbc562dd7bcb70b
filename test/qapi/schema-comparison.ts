// How do two answers to query-qmp-schema differ? Walks both from the commands and events they share, pairing types by
// where they are used, since their names are masked; differences are named by ours.
import type { SchemaInfo } from '../../src/qapi/index.ts';

type Info<T extends SchemaInfo['meta-type']> = Extract<SchemaInfo, { 'meta-type': T }>;
type Entry = { readonly name: string; readonly features?: readonly string[] | undefined };

export class Comparison {
  readonly #here: Map<string, SchemaInfo>;
  readonly #there: Map<string, SchemaInfo>;
  readonly #compared = new Set<string>();
  readonly #differences = new Set<string>();

  constructor(here: readonly SchemaInfo[], there: readonly SchemaInfo[]) {
    this.#here = new Map(here.map((info) => [info.name, info]));
    this.#there = new Map(there.map((info) => [info.name, info]));
  }

  /** One line for each difference. */
  run(): string[] {
    for (const [name, info] of this.#here) {
      if (info['meta-type'] !== 'command' && info['meta-type'] !== 'event') continue;
      const other = this.#there.get(name);
      if (other?.['meta-type'] === info['meta-type']) this.#compareEntity(info, other);
      else this.#differences.add(`${name}: only here`);
    }
    return [...this.#differences];
  }

  #compareEntity(here: Info<'command' | 'event'>, there: Info<'command' | 'event'>): void {
    this.#compareFeatures(here.name, here, there);
    this.#compareTypes(here['arg-type'], there['arg-type']);
    if (here['meta-type'] !== 'command' || there['meta-type'] !== 'command') return;
    this.#compareTypes(here['ret-type'], there['ret-type']);
    if (here['allow-oob'] !== there['allow-oob']) this.#differences.add(`${here.name}: allow-oob`);
  }

  #compareTypes(hereName: string, thereName: string): void {
    const pair = `${hereName} ${thereName}`;
    if (this.#compared.has(pair)) return;
    this.#compared.add(pair);
    const here = this.#here.get(hereName)!;
    const there = this.#there.get(thereName)!;
    if (here['meta-type'] === 'object' && there['meta-type'] === 'object') this.#compareObjects(here, there);
    else if (here['meta-type'] === 'enum' && there['meta-type'] === 'enum') {
      this.#compareLists(`${here.name}=`, here.members, there.members);
    } else if (here['meta-type'] === 'array' && there['meta-type'] === 'array') {
      this.#compareTypes(here['element-type'], there['element-type']);
    } else if (here['meta-type'] === 'alternate' && there['meta-type'] === 'alternate') {
      if (here.members.length !== there.members.length) this.#differences.add(`${hereName}: branches`);
      here.members.forEach(({ type }, index) => this.#compareTypes(type, there.members[index]?.type ?? type));
    } else if (here['meta-type'] !== there['meta-type'] || hereName !== thereName) {
      this.#differences.add(`${hereName}: ${thereName} there`);
    }
  }

  #compareObjects(here: Info<'object'>, there: Info<'object'>): void {
    this.#compareFeatures(here.name, here, there);
    this.#compareLists(`${here.name}.`, here.members, there.members);
    for (const member of here.members) {
      const other = there.members.find(({ name }) => name === member.name);
      if (!other) continue;
      if ('default' in member !== 'default' in other) this.#differences.add(`${here.name}.${member.name}: optional`);
      this.#compareTypes(member.type, other.type);
    }
    if (here.tag !== there.tag) this.#differences.add(`${here.name}: tag`);
    const variants = new Map((there.variants ?? []).map((variant) => [variant.case, variant.type]));
    for (const variant of here.variants ?? []) {
      const type = variants.get(variant.case);
      if (type === undefined) this.#differences.add(`${here.name}[${variant.case}]: only here`);
      else if (this.#isEmpty(this.#here, variant.type) !== this.#isEmpty(this.#there, type)) {
        this.#differences.add(`${here.name}[${variant.case}]: empty on one side`);
      } else this.#compareTypes(variant.type, type);
    }
  }

  #isEmpty(side: Map<string, SchemaInfo>, name: string): boolean {
    const info = side.get(name)!;
    return info['meta-type'] === 'object' && info.members.length === 0;
  }

  /** Members or values: those on one side only, and the order of the rest. */
  #compareLists(prefix: string, here: readonly Entry[], there: readonly Entry[]): void {
    const ours = here.filter((entry) => there.some(({ name }) => name === entry.name));
    const theirs = there.filter((entry) => here.some(({ name }) => name === entry.name));
    for (const { name } of here)
      if (!ours.some((one) => one.name === name)) this.#differences.add(`${prefix}${name}: only here`);
    for (const { name } of there)
      if (!theirs.some((one) => one.name === name)) this.#differences.add(`${prefix}${name}: only there`);
    ours.forEach((entry, index) => {
      if (theirs[index]!.name !== entry.name) this.#differences.add(`${prefix}${entry.name}: order`);
      const other = theirs.find(({ name }) => name === entry.name)!;
      this.#compareFeatures(`${prefix}${entry.name}`, entry, other);
    });
  }

  #compareFeatures(what: string, here: { features?: readonly string[] | undefined }, there: typeof here): void {
    const [ours, theirs] = [here.features ?? [], there.features ?? []];
    if (ours.join() !== theirs.join()) this.#differences.add(`${what}: features`);
  }
}
