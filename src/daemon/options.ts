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
  /** `at-once`: ends the reading; `first`: looked at before all others; `in-order`: carried out where it stands. */
  readonly when: 'at-once' | 'first' | 'in-order';
  /** Not one of qemu-storage-daemon's: a beginning of a name stands for it only where it stands for none of those. */
  readonly ours?: true;
}

export const optionDefinitions = {
  help: { value: 'none', short: 'h', when: 'at-once' },
  version: { value: 'none', short: 'V', when: 'at-once' },
  trace: { value: 'required', short: 'T', when: 'in-order' },
  pidfile: { value: 'required', when: 'first' },
  daemonize: { value: 'none', when: 'first' },
  compat: { value: 'required', when: 'first', ours: true },
  sandbox: { value: 'required', when: 'first', ours: true },
  'allow-uid': { value: 'required', when: 'first', ours: true },
  'add-fd': { value: 'required', when: 'in-order', ours: true },
  blockdev: { value: 'required', when: 'in-order' },
  chardev: { value: 'required', when: 'in-order' },
  export: { value: 'required', when: 'in-order' },
  monitor: { value: 'required', when: 'in-order' },
  'nbd-server': { value: 'required', when: 'in-order' },
  object: { value: 'required', when: 'in-order' },
} as const satisfies Record<string, OptionDefinition>;

const definitions: Readonly<Record<OptionName, OptionDefinition>> = optionDefinitions;

export type OptionName = keyof typeof optionDefinitions;

/** One option as it stood on the command line. */
export interface Option {
  /** `unexpected`: a word that belongs to no option, which is found out when its turn comes. */
  readonly name: OptionName | 'unexpected';
  /** The value; empty for an option that takes none. */
  readonly value: string;
  /** As typed, for messages: `--blockdev driver=null-co`. */
  readonly text: string;
}

export interface CommandLine {
  /** What is answered instead of running; what stands behind it was not read. */
  readonly asked: 'help' | 'version' | undefined;
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
 * Splits the arguments behind the program's name into options. What follows `--` is left alone.
 *
 * @throws UsageError in getopt_long's words.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const first: Option[] = [];
  const inOrder: Option[] = [];
  const words = new Words(args);
  for (;;) {
    const option = words.nextOption();
    if (option === undefined) return { asked: undefined, first, inOrder };
    const { name } = option;
    if (name === 'help' || name === 'version') return { asked: name, first, inOrder };
    const when = name === 'unexpected' ? 'in-order' : definitions[name].when;
    (when === 'first' ? first : inOrder).push(option);
  }
}

/** The words of a command line, read from the left. */
class Words {
  readonly #args: readonly string[];
  #index = 0;
  /** Letters that follow another in one word: `V` of `-hV`. */
  #letters = '';

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  nextOption(): Option | undefined {
    if (this.#letters !== '') return this.#short(`-${this.#letters}`);
    const word = this.#args[this.#index++];
    if (word === undefined || word === '--') return undefined;
    if (word.startsWith('--')) return this.#long(word, 2);
    if (!word.startsWith('-') || word === '-') return { name: 'unexpected', value: word, text: word };
    return isSpelled(word.slice(1).split('=', 1)[0]!) ? this.#long(word, 1) : this.#short(word);
  }

  #long(word: string, dashes: number): Option {
    const equals = word.indexOf('=');
    const typed = word.slice(dashes, equals < 0 ? undefined : equals);
    const name = resolveName(typed, word.slice(0, equals < 0 ? undefined : equals));
    const spelled = '-'.repeat(dashes) + name;
    const attached = equals < 0 ? undefined : word.slice(equals + 1);
    if (definitions[name].value === 'none') {
      if (attached !== undefined) throw new UsageError(`option '${spelled}' doesn't allow an argument`);
      return { name, value: '', text: word };
    }
    if (attached !== undefined) return { name, value: attached, text: word };
    return this.#withValue(name, word, `option '${spelled}' requires an argument`);
  }

  #short(word: string): Option {
    const letter = word[1]!;
    const name = names.find((one) => definitions[one].short === letter);
    if (name === undefined) throw new UsageError(`invalid option -- '${letter}'`);
    if (definitions[name].value === 'none') {
      this.#letters = word.slice(2);
      return { name, value: '', text: word };
    }
    this.#letters = '';
    if (word.length > 2) return { name, value: word.slice(2), text: word };
    return this.#withValue(name, word, `option requires an argument -- '${letter}'`);
  }

  #withValue(name: OptionName, word: string, missing: string): Option {
    const value = this.#args[this.#index++];
    if (value === undefined) throw new UsageError(missing);
    return { name, value, text: `${word} ${value}` };
  }
}

function isSpelled(word: string): boolean {
  return Object.hasOwn(definitions, word) || Object.hasOwn(emulatorSpellings, word);
}

/** The option that a name, or an unambiguous beginning of one, stands for. */
function resolveName(typed: string, spelled: string): OptionName {
  if (isSpelled(typed)) return emulatorSpellings[typed] ?? (typed as OptionName);
  const begun = names.filter((name) => name.startsWith(typed));
  const reference = begun.filter((name) => !definitions[name].ours);
  const matches = reference.length > 0 ? reference : begun;
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
