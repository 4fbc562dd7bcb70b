// Which options stand on the storage daemon's command line, in which order? Pure: argv in, occurrences out.
//
// The syntax is getopt_long's, as qemu-storage-daemon has it: `--name value`, `--name=value`, unambiguous prefixes,
// `-T value`. The emulator's spelling with one dash (`-chardev`, `-add-fd`, `-mon`) is understood too, so that one set of
// arguments starts either.
import { FdsetError } from '../errors.ts';

/** An option of the daemon: its name without dashes, and whether it takes a value. */
interface OptionDefinition {
  readonly value: 'none' | 'required';
  /** One letter that stands for it. */
  readonly short?: string;
  /** `first`: looked at before all others; `in-order`: carried out where it stands. */
  readonly when: 'first' | 'in-order';
}

const definitions = {
  help: { value: 'none', short: 'h', when: 'first' },
  version: { value: 'none', short: 'V', when: 'first' },
  trace: { value: 'required', short: 'T', when: 'first' },
  pidfile: { value: 'required', when: 'first' },
  daemonize: { value: 'none', when: 'first' },
  compat: { value: 'required', when: 'first' },
  sandbox: { value: 'required', when: 'first' },
  'allow-uid': { value: 'required', when: 'first' },
  'add-fd': { value: 'required', when: 'in-order' },
  blockdev: { value: 'required', when: 'in-order' },
  chardev: { value: 'required', when: 'in-order' },
  export: { value: 'required', when: 'in-order' },
  monitor: { value: 'required', when: 'in-order' },
  'nbd-server': { value: 'required', when: 'in-order' },
  object: { value: 'required', when: 'in-order' },
} as const satisfies Record<string, OptionDefinition>;

export type OptionName = keyof typeof definitions;

/** One option as it stood on the command line. */
export interface Option {
  readonly name: OptionName;
  /** The value; empty for an option that takes none. */
  readonly value: string;
  /** As typed, for messages: `--blockdev driver=null-co`. */
  readonly text: string;
}

export interface CommandLine {
  /** Options that set the scene, whatever their place; the last of a name wins, where only one makes sense. */
  readonly first: readonly Option[];
  /** Options that are carried out one after the other. */
  readonly inOrder: readonly Option[];
}

/** A command line that cannot be understood; the message lacks only the program's name. */
export class UsageError extends FdsetError {
  constructor(message: string) {
    super('ERR_FDSET_USAGE', message);
  }
}

const names = Object.keys(definitions) as OptionName[];
const emulatorSpellings: Record<string, OptionName> = { mon: 'monitor' };

/**
 * Splits the arguments behind the program's name into options.
 *
 * @throws UsageError in getopt_long's and qemu-storage-daemon's words.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const options: Option[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    if (word === '--' && index === args.length - 1) break;
    if (word === '--') throw new UsageError(`${args[index + 1]}: Unexpected argument`);
    const { name, attached, spelled } = splitWord(word);
    const definition: OptionDefinition = definitions[name];
    if (definition.value === 'none') {
      if (attached !== undefined) throw new UsageError(`option '${spelled}' doesn't allow an argument`);
      options.push({ name, value: '', text: word });
    } else if (attached !== undefined) {
      options.push({ name, value: attached, text: word });
    } else {
      const value = args[++index];
      if (value === undefined) throw new UsageError(missingValue(spelled));
      options.push({ name, value, text: `${word} ${value}` });
    }
  }
  return {
    first: options.filter(({ name }) => definitions[name].when === 'first'),
    inOrder: options.filter(({ name }) => definitions[name].when === 'in-order'),
  };
}

function missingValue(spelled: string): string {
  return spelled.startsWith('--')
    ? `option '${spelled}' requires an argument`
    : `option requires an argument -- '${spelled.slice(1)}'`;
}

interface Word {
  readonly name: OptionName;
  readonly attached: string | undefined;
  readonly spelled: string;
}

function splitWord(word: string): Word {
  if (word.startsWith('--')) return splitLong(word, 2);
  if (!word.startsWith('-') || word === '-') throw new UsageError(`${word}: Unexpected argument`);
  const letter = word[1]!;
  const short = names.find((name) => (definitions[name] as OptionDefinition).short === letter);
  if (word.length === 2 && short) return { name: short, attached: undefined, spelled: word };
  const emulator = word.slice(1).split('=', 1)[0]!;
  if (isSpelled(emulator)) return splitLong(word, 1);
  if (short) return { name: short, attached: word.slice(2), spelled: `-${letter}` };
  throw new UsageError(`invalid option -- '${letter}'`);
}

function splitLong(word: string, dashes: number): Word {
  const equals = word.indexOf('=');
  const typed = word.slice(dashes, equals < 0 ? undefined : equals);
  const name = resolveName(typed, word.slice(0, equals < 0 ? undefined : equals));
  return {
    name,
    attached: equals < 0 ? undefined : word.slice(equals + 1),
    spelled: '-'.repeat(dashes) + name,
  };
}

function isSpelled(word: string): boolean {
  return Object.hasOwn(definitions, word) || Object.hasOwn(emulatorSpellings, word);
}

/** The option that a name, or an unambiguous beginning of one, stands for. */
function resolveName(typed: string, spelled: string): OptionName {
  if (isSpelled(typed)) return emulatorSpellings[typed] ?? (typed as OptionName);
  const matches = names.filter((name) => name.startsWith(typed));
  if (matches.length === 0 || typed === '') throw new UsageError(`unrecognized option '${spelled}'`);
  if (matches.length > 1) {
    const possibilities = matches.map((name) => `'--${name}'`).join(' ');
    throw new UsageError(`option '${spelled}' is ambiguous; possibilities: ${possibilities}`);
  }
  return matches[0]!;
}

/** The value of an option of which the last one counts, or undefined. */
export function lastValue(commandLine: CommandLine, name: OptionName): string | undefined {
  return commandLine.first.findLast((option) => option.name === name)?.value;
}
