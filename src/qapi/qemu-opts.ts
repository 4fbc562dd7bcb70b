// What does `socket,id=c,path=/p,server=on` mean? QEMU's older option syntax (QemuOpts), flat and described by a list
// of options rather than a QAPI type: --chardev, and --add-fd.
import { parseBool, parseSize, parseUint64 } from './cutils.ts';
import { endOfKey, isHelp, readValue } from './keyval.ts';
import { expects, optionSyntax } from './qapi-error.ts';
import type { Int64 } from './types.ts';

interface OptionValues {
  readonly string: string;
  readonly bool: boolean;
  /** C notation, unsigned 64 bits, a minus sign negates modulo 2^64. */
  readonly number: Int64;
  readonly size: Int64;
}

type OptionKinds = Readonly<Record<string, keyof OptionValues>>;

/** Which keys an option has, and of what kind their values are. */
export interface OptionList<T extends OptionKinds = OptionKinds> {
  readonly impliedKey?: string;
  readonly options: T;
}

/** What an option said. */
export interface QemuOpts<T extends OptionKinds> {
  /** Checked to be an identifier, not to be free. */
  readonly id: string | undefined;
  readonly values: { readonly [K in keyof T]?: OptionValues[T[K]] };
  /** Whether `help` or `?` was among the words; then what follows it was not looked at. */
  readonly help: boolean;
}

/** What QEMU prints to stderr about an option: the text behind `warning: `, and the line after it. */
export interface OptionWarning {
  readonly message: string;
  readonly hint: string;
}

/** What QEMU prints below `expects an identifier`. */
export const IDENTIFIER_HINT = "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.";
const sizeHint =
  'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.';

/** Whether an id is one that QEMU accepts for objects, chardevs and exports. */
export function isIdentifier(id: string): boolean {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(id);
}

const kindNames = { string: 'str', bool: 'bool (on/off)', number: 'num', size: 'size' } as const;

/** What QEMU prints of an option that is asked for its keys. */
export function describeOptionList(option: string, { options }: OptionList): string {
  const keys = Object.entries(options).map(([name, kind]) => `  ${name}=<${kindNames[kind]}>\n`);
  return `${option} options:\n${keys.sort().join('')}`;
}

interface Parameter {
  readonly name: string;
  readonly value: string;
  /** The word as given, where there was no `=value`. */
  readonly flag?: string;
  readonly next: number;
}

/**
 * Reads an option of the older kind. A word without a value is a flag: `server` means on, `noserver` off. Of a key given
 * twice the last counts, except `id`, where it is the first.
 *
 * @param warn is told of what is deprecated, before an error that follows is thrown
 * @throws QapiError with QEMU's text, and `hint` where QEMU prints a second line
 */
export function parseQemuOpts<const T extends OptionKinds>(
  list: OptionList<T>,
  text: string,
  warn: (warning: OptionWarning) => void = () => {},
): QemuOpts<T> {
  const id = findId(text);
  if (id !== undefined && !isIdentifier(id)) throw expects('id', 'an identifier', IDENTIFIER_HINT);
  const values: Record<string, unknown> = {};
  const result = (help: boolean) => ({ id, values, help }) as QemuOpts<T>;
  let impliedKey = list.impliedKey;
  for (let at = 0; at < text.length; impliedKey = undefined) {
    const end = endOfKey(text, at);
    if (text[end] !== '=' && isHelp(text.slice(at, end))) return result(true);
    const parameter = readParameter(text, at, impliedKey);
    at = parameter.next;
    if (parameter.flag !== undefined) warn(shortForm(parameter.flag, parameter));
    if (parameter.name !== 'id') values[parameter.name] = readOption(list.options, parameter);
  }
  return result(false);
}

/** The id counts before anything else is looked at, and there a first word without a value is a flag. */
function findId(text: string): string | undefined {
  for (let at = 0; at < text.length;) {
    const parameter = readParameter(text, at, undefined);
    if (parameter.name === 'id') return parameter.value;
    at = parameter.next;
  }
  return undefined;
}

function readParameter(text: string, at: number, impliedKey: string | undefined): Parameter {
  const end = endOfKey(text, at);
  const word = text.slice(at, end);
  if (text[end] === '=') return { name: word, ...readValue(text, end + 1) };
  if (impliedKey !== undefined) return { name: impliedKey, ...readValue(text, at) };
  const off = word.startsWith('no');
  return { name: off ? word.slice(2) : word, value: off ? 'off' : 'on', flag: word, next: end + 1 };
}

/** QEMU knows an option `delay` only as the reverse of `nodelay`. */
function shortForm(flag: string, { name, value }: Parameter): OptionWarning {
  const instead = name === 'delay' ? `nodelay=${value === 'off' ? 'on' : 'off'}` : `${name}=${value}`;
  return { message: `short-form boolean option '${flag}' deprecated`, hint: `Please use ${instead} instead` };
}

function readOption(options: OptionKinds, { name, value }: Parameter): unknown {
  const kind = Object.hasOwn(options, name) ? options[name] : undefined;
  switch (kind) {
    case undefined:
      throw optionSyntax(name, `Invalid parameter '${name}'`);
    case 'string':
      return value;
    case 'bool':
      return readBool(name, value);
    case 'number':
      return readNumber(name, value);
    case 'size':
      return readSize(name, value);
  }
}

function readBool(name: string, text: string): boolean {
  const value = parseBool(text);
  if (value === undefined) throw expects(name, "'on' or 'off'");
  return value;
}

function readNumber(name: string, text: string): Int64 {
  const value = parseUint64(text);
  if (value === undefined) throw expects(name, 'a number');
  if (value === 'out of range') throw optionSyntax(name, `Value '${text}' is too large for parameter '${name}'`);
  return value;
}

function readSize(name: string, text: string): Int64 {
  const value = parseSize(text);
  if (value === undefined) throw expects(name, 'a non-negative number below 2^64', sizeHint);
  if (value === 'out of range') throw optionSyntax(name, `Value '${text}' is out of range for parameter '${name}'`);
  return value;
}
