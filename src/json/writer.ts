// How is a value printed? As QEMU prints it, byte for byte: member order, separators, escapes, numbers.
import { AsciiOutput } from './ascii-output.ts';
import { formatDouble } from './double-format.ts';
import { inQemuOrder } from './member-order.ts';
import { shapeOf } from './shape.ts';
import { shortText } from './short-text.ts';
import { JsonDouble, type JsonOutput } from './value.ts';

export interface WriteJsonOptions {
  /** One member or element per line, 4 spaces per level, as a monitor with `pretty=on`. Default false. */
  readonly pretty?: boolean;
  /**
   * No white space at all and members in the order given: the fewest bytes, for a server that reads one at a time.
   * Default false; `pretty` has precedence.
   */
  readonly dense?: boolean;
}

/**
 * A value as QEMU prints it, in pure ASCII, without a line end. Line breaks inside (pretty) are CR LF.
 *
 * @throws RangeError for a bigint outside int64 and uint64.
 * @throws TypeError for what JSON has no form for, such as a function.
 */
export function writeJson(value: JsonOutput, options?: WriteJsonOptions): string {
  const isCompact = options?.pretty !== true && options?.dense !== true;
  return (isCompact ? shortText(value) : undefined) ?? composeJson((writer) => writer.value(value, options));
}

/** Composes a text of ready-made pieces and values, of which the caller sees to it that they make JSON. */
export function composeJson(compose: (writer: JsonWriter) => void): string {
  const writer = idle ?? new JsonWriter();
  idle = undefined; // it is in use: a getter in a value might print, too
  try {
    compose(writer);
    return writer.take();
  } finally {
    writer.clear();
    idle = writer;
  }
}

let idle: JsonWriter | undefined;

/** A text being composed, see {@link composeJson}. */
export class JsonWriter extends AsciiOutput {
  /** Appends a value, as {@link writeJson} prints it. */
  value(value: JsonOutput, options?: WriteJsonOptions): void {
    if (options?.pretty === true) pretty(this, value, '\r\n');
    else if (options?.dense === true) dense(this, value);
    else compact(this, value);
  }
}

const COMMA = 0x2c;
const SPACE = 0x20;
const BRACKET_OPENS = 0x5b;
const BRACKET_CLOSES = 0x5d;
const BRACE_CLOSES = 0x7d;

type Dict = Readonly<Record<string, JsonOutput | undefined>>;

function compact(out: AsciiOutput, value: JsonOutput): void {
  if (typeof value === 'string') out.quoted(value);
  else if (typeof value === 'number' && Number.isSafeInteger(value)) out.integer(value);
  else if (typeof value !== 'object' || value === null || value instanceof JsonDouble) scalar(out, value);
  else if (Array.isArray(value)) compactList(out, value as readonly JsonOutput[]);
  else if (value instanceof Map) compactMap(out, value as ReadonlyMap<string, JsonOutput>);
  else compactDict(out, value as Dict);
}

function compactList(out: AsciiOutput, list: readonly JsonOutput[]): void {
  out.byte(BRACKET_OPENS);
  for (let i = 0; i < list.length; i++) {
    if (i > 0) {
      out.byte(COMMA);
      out.byte(SPACE);
    }
    compact(out, list[i] as JsonOutput);
  }
  out.byte(BRACKET_CLOSES);
}

function compactMap(out: AsciiOutput, map: ReadonlyMap<string, JsonOutput>): void {
  let separator = '{';
  for (const name of inQemuOrder(map.keys())) {
    out.ascii(separator);
    out.quoted(name);
    out.ascii(': ');
    compact(out, map.get(name) as JsonOutput);
    separator = ', ';
  }
  out.ascii(separator === '{' ? '{}' : '}');
}

function compactDict(out: AsciiOutput, dict: Dict): void {
  const members = shapeOf(dict);
  let isFirst = true;
  for (let i = 0; i < members.length; i++) {
    const { name, first, later } = members[i]!;
    const value = dict[name];
    if (value === undefined) continue;
    out.copy(isFirst ? first : later);
    compact(out, value);
    isFirst = false;
  }
  if (isFirst) out.ascii('{}');
  else out.byte(BRACE_CLOSES);
}

function dense(out: AsciiOutput, value: JsonOutput): void {
  if (typeof value !== 'object' || value === null || value instanceof JsonDouble) return compact(out, value);
  const isList = Array.isArray(value);
  let separator = isList ? '[' : '{';
  for (const [name, member] of value instanceof Map ? value : Object.entries(value)) {
    if (member === undefined) continue;
    out.ascii(separator);
    if (!isList) {
      out.quoted(name as string);
      out.ascii(':');
    }
    dense(out, member as JsonOutput);
    separator = ',';
  }
  if (separator !== ',') out.ascii(separator);
  out.ascii(isList ? ']' : '}');
}

/** `line` is a line break with the indentation of where the value stands. */
function pretty(out: AsciiOutput, value: JsonOutput, line: string): void {
  if (typeof value !== 'object' || value === null || value instanceof JsonDouble) return compact(out, value);
  const inner = `${line}    `;
  const isList = Array.isArray(value);
  let separator = isList ? '[' : '{';
  for (const [name, member] of isList ? unnamed(value as readonly JsonOutput[]) : named(value)) {
    out.ascii(separator + inner);
    if (name !== undefined) {
      out.quoted(name);
      out.ascii(': ');
    }
    pretty(out, member, inner);
    separator = ',';
  }
  // An empty container takes two lines, too.
  if (separator !== ',') out.ascii(separator);
  out.ascii(line + (isList ? ']' : '}'));
}

function* unnamed(list: readonly JsonOutput[]): Generator<[undefined, JsonOutput]> {
  for (const item of list) yield [undefined, item];
}

function* named(value: object): Generator<[string, JsonOutput]> {
  if (value instanceof Map) {
    for (const name of inQemuOrder(value.keys())) yield [name, value.get(name)];
    return;
  }
  for (const { name } of shapeOf(value)) {
    const member = (value as Dict)[name];
    if (member !== undefined) yield [name, member];
  }
}

const LARGEST_UINT64 = (1n << 64n) - 1n;
const SMALLEST_INT64 = -(1n << 63n);

function scalar(out: AsciiOutput, value: unknown): void {
  if (value === null) out.ascii('null');
  else if (value instanceof JsonDouble) out.ascii(formatDouble(value.value));
  else if (typeof value === 'number') number(out, value);
  else if (typeof value === 'boolean') out.ascii(value ? 'true' : 'false');
  else if (typeof value === 'bigint') out.ascii(formatInteger(value));
  else throw new TypeError(`not a JSON value: ${typeof value}`);
}

/** An integer that a number holds without being exact about it is still one, within 64 bits. */
function number(out: AsciiOutput, value: number): void {
  if (Number.isSafeInteger(value)) out.integer(value);
  else if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 64) out.ascii(String(BigInt(value)));
  else out.ascii(formatDouble(value));
}

function formatInteger(value: bigint): string {
  if (value < SMALLEST_INT64 || value > LARGEST_UINT64) throw new RangeError(`${value} is not an integer of 64 bits`);
  return String(value);
}
