// Does an option ask for help instead of doing something? `--object help`, `--object secret,help`, `--chardev help`:
// then the text is printed and the program ends. Pure.
import { chardevBackends } from '../chardev/index.ts';
import {
  addFdOptions,
  chardevOptions,
  describeOptionList,
  type OptionList,
  parseKeyvalOrHelp,
  parseQemuOpts,
  QapiError,
} from '../qapi/index.ts';
import { objectHelp } from '../qom/index.ts';
import type { Option } from './options.ts';
import { traceOptions } from './trace.ts';

/** What is printed, and the exit code. */
export interface Answer {
  readonly text: string;
  readonly exitCode: 0 | 1;
}

/** The answer to an option that asks for help, else undefined. */
export function answerTo({ name, value }: Option): Answer | undefined {
  switch (name) {
    case 'object':
      return answerToObject(value);
    case 'chardev':
      if (isHelp(firstWord(value))) return { text: chardevHelp(), exitCode: 0 };
      return listing('chardev', chardevOptions, value);
    case 'trace':
      // There are no trace events to list.
      if (isHelp(firstWord(value))) return { text: '', exitCode: 0 };
      return listing('trace', traceOptions, value);
    case 'add-fd':
      return listing('add-fd', addFdOptions, value);
    default:
      return undefined;
  }
}

function answerToObject(value: string): Answer | undefined {
  if (value.startsWith('{')) return undefined;
  return readOrNothing(() => {
    const { members, help } = parseKeyvalOrHelp(value, 'qom-type');
    const type = members.get('qom-type');
    return help ? { text: objectHelp(typeof type === 'string' ? type : undefined), exitCode: 0 } : undefined;
  });
}

function listing(option: string, list: OptionList, value: string): Answer | undefined {
  return readOrNothing(() => {
    return parseQemuOpts(list, value).help ? { text: describeOptionList(option, list), exitCode: 1 } : undefined;
  });
}

/** What cannot be read is said when the option is carried out. */
function readOrNothing(read: () => Answer | undefined): Answer | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof QapiError) return undefined;
    throw error;
  }
}

/** The backends that are there, in no order: QEMU has none either. */
function chardevHelp(): string {
  return `Available chardev backend types: \n${chardevBackends.map((name) => `  ${name}\n`).join('')}`;
}

function firstWord(value: string): string {
  return value.split(',', 1)[0]!;
}

function isHelp(word: string): boolean {
  return word === 'help' || word === '?';
}
