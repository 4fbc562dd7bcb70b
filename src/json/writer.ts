// How is a value printed? As QEMU prints it, byte for byte: member order, separators, escapes, numbers.
import { formatDouble } from './double-format.ts';
import { inQemuOrder } from './member-order.ts';
import { quote } from './string-format.ts';
import { JsonDouble, type JsonOutput } from './value.ts';

export interface WriteJsonOptions {
  /** One member or element per line, 4 spaces per level, as a monitor with `pretty=on`. Default false. */
  readonly pretty?: boolean;
}

/**
 * A value as QEMU prints it, in pure ASCII, without a line end. Line breaks inside (pretty) are CR LF.
 *
 * @throws RangeError for a bigint outside int64 and uint64.
 * @throws TypeError for what JSON has no form for, such as a function.
 */
export function writeJson(value: JsonOutput, options: WriteJsonOptions = {}): string {
  return options.pretty === true ? pretty(value, '') : compact(value);
}

type Dict = Readonly<Record<string, JsonOutput | undefined>>;

function compact(value: JsonOutput): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null || value instanceof JsonDouble) return scalar(value);
  if (Array.isArray(value)) return compactList(value as readonly JsonOutput[]);
  if (value instanceof Map) return compactMap(value as ReadonlyMap<string, JsonOutput>);
  return compactDict(value as Dict);
}

function compactList(list: readonly JsonOutput[]): string {
  if (list.length === 0) return '[]';
  let text = '[';
  for (let i = 0; i < list.length; i++) text += i === 0 ? compact(list[i]!) : `, ${compact(list[i]!)}`;
  return text + ']';
}

function compactMap(map: ReadonlyMap<string, JsonOutput>): string {
  if (map.size === 0) return '{}';
  let text = '';
  for (const name of inQemuOrder(map.keys())) {
    text += `${text === '' ? '{' : ', '}${quote(name)}: ${compact(map.get(name) as JsonOutput)}`;
  }
  return text + '}';
}

function compactDict(dict: Dict): string {
  let text = '';
  for (const { name, first, later } of shapeOf(dict)) {
    const value = dict[name];
    if (value !== undefined) text += (text === '' ? first : later) + compact(value);
  }
  return text === '' ? '{}' : text + '}';
}

function pretty(value: JsonOutput, indent: string): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null || value instanceof JsonDouble) return scalar(value);
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    return block(
      '[',
      (value as readonly JsonOutput[]).map((item) => inner + pretty(item, inner)),
      `${indent}]`,
    );
  }
  const members: string[] = [];
  for (const [name, member] of entries(value)) {
    if (member !== undefined) members.push(`${inner}${quote(name)}: ${pretty(member, inner)}`);
  }
  return block('{', members, `${indent}}`);
}

/** An empty container takes two lines, too. */
function block(opening: string, lines: readonly string[], closing: string): string {
  return `${opening}\r\n${lines.join(',\r\n')}${lines.length === 0 ? '' : '\r\n'}${closing}`;
}

function* entries(value: object): Generator<[string, JsonOutput | undefined]> {
  if (value instanceof Map) {
    for (const name of inQemuOrder(value.keys())) yield [name, value.get(name)];
  } else {
    for (const { name } of shapeOf(value)) yield [name, (value as Dict)[name]];
  }
}

const LARGEST_UINT64 = (1n << 64n) - 1n;
const SMALLEST_INT64 = -(1n << 63n);

function scalar(value: unknown): string {
  if (value === null) return 'null';
  if (value instanceof JsonDouble) return formatDouble(value.value);
  switch (typeof value) {
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : formatNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return formatInteger(value);
    default:
      throw new TypeError(`not a JSON value: ${typeof value}`);
  }
}

/** An integer that a number holds without being exact about it is still one, within 64 bits. */
function formatNumber(value: number): string {
  return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 64
    ? String(BigInt(value))
    : formatDouble(value);
}

function formatInteger(value: bigint): string {
  if (value < SMALLEST_INT64 || value > LARGEST_UINT64) throw new RangeError(`${value} is not an integer of 64 bits`);
  return String(value);
}

/** A member as printed: its name with what stands before the value, for the first member and for later ones. */
interface Member {
  readonly name: string;
  readonly first: string;
  readonly later: string;
}

/** An object's members as printed, for the names in the order they were given. */
interface Shape {
  readonly names: readonly string[];
  readonly members: readonly Member[];
}

// Objects of our own have few shapes, so the order is worked out once for each. Names that a peer has chosen come as
// Maps, which are not remembered; the bound is for handlers that use names of their own making.
const MOST_SHAPES = 2048;
const shapesByFirstName = new Map<string, Shape[]>();
let shapeCount = 0;

function shapeOf(dict: object): readonly Member[] {
  const names = Object.keys(dict);
  const candidates = shapesByFirstName.get(names[0] ?? '');
  if (candidates !== undefined) {
    for (const shape of candidates) if (sameNames(shape.names, names)) return shape.members;
  }
  const shape = { names, members: inQemuOrder(names).map(member) };
  if (shapeCount < MOST_SHAPES) {
    shapeCount++;
    if (candidates === undefined) shapesByFirstName.set(names[0] ?? '', [shape]);
    else candidates.push(shape);
  }
  return shape.members;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function member(name: string): Member {
  return { name, first: `{${quote(name)}: `, later: `, ${quote(name)}: ` };
}
