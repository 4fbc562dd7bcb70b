// Values that a schema accepts, and with a chance at each step ones that it refuses: fast-check arbitraries made by
// walking the schema.
import * as fc from 'fast-check';
import { parseJson, type JsonOutput } from '../../src/json/index.ts';
import type { QapiType } from '../../src/qapi/index.ts';

type Arbitrary = fc.Arbitrary<JsonOutput>;
type Struct = Extract<QapiType, { kind: 'struct' }>;
type EnumType = Extract<QapiType, { kind: 'enum' }>;
type ObjectType = Extract<QapiType, { kind: 'struct' | 'union' }>;

const edges = ['0', '255', '256', '65536', '4294967296', '-4294967296', '9223372036854775807', '9223372036854775808'];
const others = ['-1', '-9223372036854775808', '18446744073709551615', '1e30', '1.5', 'null', 'true', '"on"', '"1"'];
const containers = ['[]', '{}', '["x"]', '[1]', '{"x": 1}'];
const anything = fc.constantFrom(...[...edges, ...others, ...containers].map((text) => parseJson(text)));

/** Mostly right, sometimes anything. */
function mostly(right: Arbitrary): Arbitrary {
  return fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: anything });
}

const integers = fc.integer({ min: -3, max: 300 });
const builtinValues: Record<Extract<QapiType, { kind: 'builtin' }>['name'], Arbitrary> = {
  str: fc.constantFrom('', 'a', 'node0', 'é"\\'),
  int: integers,
  int8: integers,
  int16: integers,
  int32: integers,
  int64: integers,
  uint8: integers,
  uint16: integers,
  uint32: integers,
  uint64: integers,
  size: integers,
  bool: fc.boolean(),
  number: fc.constantFrom(0, 0.5, 7),
  null: fc.constant(null),
  any: anything,
};

/** How deep types that contain themselves are followed. */
const deepest = 3;

/** Makes arbitraries for types, each once per depth. */
export class SchemaValues {
  /** Members and values that are left out: `TYPE.member`, `ENUM=value`. */
  readonly #without: ReadonlySet<string>;
  readonly #made = Array.from({ length: deepest + 1 }, () => new Map<QapiType, Arbitrary>());

  constructor(without: ReadonlySet<string>) {
    this.#without = without;
  }

  /** Values for a type. */
  of(type: QapiType, depth = deepest): Arbitrary {
    let values = this.#made[depth]!.get(type);
    if (!values) {
      values = this.#make(type, depth);
      this.#made[depth]!.set(type, values);
    }
    return values;
  }

  #make(type: QapiType, depth: number): Arbitrary {
    switch (type.kind) {
      case 'builtin':
        return mostly(builtinValues[type.name]);
      case 'enum':
        return this.#namesOf(type);
      case 'array':
        return mostly(fc.array(this.of(type.element, depth), { maxLength: 2 }));
      case 'alternate':
        return mostly(fc.oneof(...this.#branchesOf(type, depth)));
      case 'lazy':
        return this.of(type.resolve(), depth);
      default:
        return mostly(this.#objectsOf(type, depth));
    }
  }

  #namesOf(type: EnumType): Arbitrary {
    const names = type.values.filter((value) => this.#isUsed(type, value));
    return fc.oneof(
      { weight: 12, arbitrary: mostly(fc.constantFrom(...names)) },
      { weight: 1, arbitrary: fc.constantFrom(type.name, names[0]!.toUpperCase()) },
    );
  }

  #isUsed(type: EnumType, value: string): boolean {
    return !this.#without.has(`${type.name}=${value}`);
  }

  #branchesOf(type: Extract<QapiType, { kind: 'alternate' }>, depth: number): Arbitrary[] {
    const branches = Object.values(type.branches).filter((branch) => depth > 0 || branch.kind !== 'lazy');
    return branches.map((branch) => this.of(branch, Math.max(depth - 1, 0)));
  }

  /** Objects with the members of the type, some left out, now and then one too many. */
  #objectsOf(type: ObjectType, depth: number): Arbitrary {
    if (type.kind === 'struct') return this.#recordsOf([type], depth);
    const tags = type.base.members[type.discriminator] as EnumType;
    const variants = Object.entries(type.variants).filter(([tag]) => this.#isUsed(tags, tag));
    const plain = variants.map(([tag, variant]) => {
      const record = this.#recordsOf(variant.kind === 'struct' ? [type.base, variant] : [type.base], depth);
      return fc.tuple(record, fc.nat(20)).map(([object, chance]) => {
        return chance === 0 ? object : { ...(object as object), [type.discriminator]: tag };
      });
    });
    return fc.oneof(...plain);
  }

  #recordsOf(types: readonly Struct[], depth: number): Arbitrary {
    const members: Record<string, fc.Arbitrary<JsonOutput | undefined>> = {};
    for (const type of types) this.#addMembers(type, members, depth);
    members['bogus'] = sometimes(1 / 40, fc.constant(1));
    return fc.record(members) as Arbitrary;
  }

  #addMembers(type: Struct, members: Record<string, fc.Arbitrary<JsonOutput | undefined>>, depth: number): void {
    if (type.base) this.#addMembers(type.base, members, depth);
    for (const [name, member] of Object.entries(type.members)) {
      if (this.#without.has(`${type.name}.${name}`)) continue;
      const isMember = member.kind === 'member';
      const memberType = isMember ? member.type : member;
      // A member of its own type: left out where the depth is used up.
      if (memberType.kind === 'lazy' && depth === 0) continue;
      const values = this.of(memberType, memberType.kind === 'lazy' ? depth - 1 : depth);
      members[name] = sometimes(isMember && member.optional ? 0.3 : 0.97, values);
    }
  }
}

function sometimes(chance: number, values: Arbitrary): fc.Arbitrary<JsonOutput | undefined> {
  const weight = Math.round(chance * 1000);
  return fc.oneof({ weight, arbitrary: values }, { weight: 1000 - weight, arbitrary: fc.constant(undefined) });
}
