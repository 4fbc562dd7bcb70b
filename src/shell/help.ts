// What does `help` say? All of it from the server's schema: commands, their arguments with types, and for a union what
// comes with the value of its tag that the line gives: `help blockdev-add driver=qcow2`.
import type { SchemaObject, SchemaType, ServerSchema } from '../introspection/index.ts';
import { nearest } from './nearest.ts';
import { LineError } from './line-error.ts';
import type { Word } from './words.ts';

/** The text for `help WORDS`. @throws LineError there is no such command */
export function helpText(words: readonly Word[], schema: ServerSchema): string {
  const [name, ...rest] = words;
  if (name === undefined) return overview(schema);
  const command = schema.commands.get(name.text);
  if (command !== undefined) {
    const given = new Map(rest.map(({ text }) => [text.split('=')[0]!, text.slice(text.indexOf('=') + 1)]));
    const notes = [...command.features, ...(command.allowOob ? ['may run out of band'] : [])];
    const lines = [`${command.name}${notes.length > 0 ? `  (${notes.join(', ')})` : ''}`];
    lines.push(...argumentLines(schema, command.arguments, given, ''));
    const returned = schema.type(command.returns);
    if (!isEmpty(returned))
      lines.push(`returns ${typeText(schema, command.returns)}`, ...resultLines(schema, returned));
    return lines.join('\n');
  }
  const event = schema.events.get(name.text);
  if (event !== undefined) {
    return [`${event.name}  (an event)`, ...argumentLines(schema, event.data, new Map(), '')].join('\n');
  }
  throw unknownCommand(name, schema);
}

/** A command that the server does not have. */
export function unknownCommand(word: Word, schema: ServerSchema): LineError {
  const close = nearest(word.text, [...schema.commands.keys(), ...schema.events.keys()]);
  const hint = close === undefined ? 'help lists its commands' : `do you mean ${close}?`;
  return new LineError(`this server has no ${word.text}: ${hint}`, word);
}

function overview(schema: ServerSchema): string {
  const names = [...schema.commands.keys()].sort();
  const stable = names.filter((name) => !schema.commands.get(name)!.features.includes('unstable'));
  const unstable = names.filter((name) => !stable.includes(name));
  return [
    columns(stable),
    ...(unstable.length > 0 ? [`\nunstable:\n${columns(unstable)}`] : []),
    '\nhelp COMMAND            its arguments; help COMMAND KEY=VALUE where more depends on a value',
    'COMMAND KEY=VALUE ...   run it: KEY.MEMBER=VALUE for what is inside, {JSON}, @FILE:rw to pass a file',
    'Tab completes, Ctrl-C drops the line, Ctrl-D or exit leaves (quit is a command: it ends the server)',
  ].join('\n');
}

/** Names in columns, read downwards, no wider than a terminal of 100. */
function columns(names: readonly string[]): string {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const count = Math.max(1, Math.floor(100 / width));
  const rows = Math.ceil(names.length / count);
  return Array.from({ length: rows }, (_, row) =>
    names
      .filter((_, index) => index % rows === row)
      .map((name) => name.padEnd(width))
      .join('')
      .trimEnd(),
  ).join('\n');
}

function argumentLines(
  schema: ServerSchema,
  type: SchemaObject,
  given: ReadonlyMap<string, string>,
  prefix: string,
): string[] {
  const members = schema.membersOf(type, (tag) => given.get(prefix + tag));
  const width = Math.max(0, ...members.map(({ name }) => prefix.length + name.length));
  const lines = members.flatMap(({ name, type: memberType, optional, features }) => {
    const key = prefix + name;
    const notes = [...(optional ? [] : ['required']), ...features];
    const line = `  ${key.padEnd(width)}  ${typeText(schema, memberType)}${notes.length > 0 ? `  (${notes.join(', ')})` : ''}`;
    const inner = innerObject(schema, memberType);
    const wanted = inner && [...given.keys()].some((each) => each === key || each.startsWith(`${key}.`));
    return wanted ? [line, ...argumentLines(schema, inner, given, `${key}.`)] : [line];
  });
  if (type.tag !== undefined && given.get(prefix + type.tag) === undefined) {
    lines.push(`  and more, depending on ${prefix}${type.tag}: give ${prefix}${type.tag}=VALUE to see it`);
  }
  return lines;
}

function resultLines(schema: ServerSchema, type: SchemaType): string[] {
  const element = type.kind === 'array' ? schema.type(type.element) : type;
  return element.kind === 'object' ? argumentLines(schema, element, new Map(), '').map(withoutRequired) : [];
}

/** Of a result nothing is required; what may be missing is marked instead. */
function withoutRequired(line: string): string {
  return line
    .replace(/ {2}\(required(?:, )?/, '  (')
    .replace(/ {2}\(\)$/, '')
    .replace('give ', 'see ')
    .trimEnd();
}

function innerObject(schema: ServerSchema, name: string): SchemaObject | undefined {
  const type = schema.type(name);
  if (type.kind === 'object') return type;
  if (type.kind !== 'alternate') return undefined;
  return type.branches.map((branch) => schema.type(branch)).find((branch) => branch.kind === 'object') as SchemaObject;
}

const mostValues = 12;

/** A type in a few words: `int`, `on|off`, `[str]`, `str or object`. */
export function typeText(schema: ServerSchema, name: string): string {
  const type = schema.type(name);
  switch (type.kind) {
    case 'builtin':
      return type.name;
    case 'enum': {
      const names = type.values.map((value) => value.name);
      const shown = names.length > mostValues ? [...names.slice(0, mostValues), '…'] : names;
      return shown.join('|');
    }
    case 'array':
      return `[${typeText(schema, type.element)}]`;
    case 'alternate':
      return type.branches.map((branch) => typeText(schema, branch)).join(' or ');
    case 'object':
      return isEmpty(type) ? 'nothing' : 'object';
  }
}

function isEmpty(type: SchemaType): boolean {
  return type.kind === 'object' && type.members.length === 0 && type.tag === undefined;
}
