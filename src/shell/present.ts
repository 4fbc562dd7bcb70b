// How is a result shown to a person? As JSON that fits the terminal: what fits into a line stays on one. Texts that are a
// whole result (human-monitor-command) are shown as they are. Nothing that a server sends reaches the terminal as a
// control sequence.

export interface PresentOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly colors: boolean;
}

type Style = 'key' | 'text' | 'scalar' | 'event' | 'error' | 'note';

const codes: Readonly<Record<Style, string>> = {
  key: '36',
  text: '32',
  scalar: '33',
  event: '35',
  error: '31',
  note: '2',
};

/** Text in a colour, where colours are wanted. */
export function styled(text: string, style: Style, colors: boolean): string {
  return colors ? `\u001B[${codes[style]}m${text}\u001B[0m` : text;
}

/** A result: plain objects, lists, integers of both kinds. */
export function present(value: unknown, options: PresentOptions): string {
  if (typeof value === 'string') return printable(value.replaceAll('\r\n', '\n')).replace(/\n$/, '');
  return lines(value, 0, 0, options);
}

/** `used`: the columns that are taken on the first line. */
function lines(value: unknown, indent: number, used: number, options: PresentOptions): string {
  const parts = partsOf(value);
  if (parts === undefined || parts.length === 0 || fits(value, options.width - indent - used)) {
    return oneLine(value, options.colors);
  }
  const inner = indent + 2;
  const [opens, closes] = Array.isArray(value) ? '[]' : '{}';
  const texts = parts.map(([name, part]) => {
    const key = name === undefined ? '' : `${quoted(name)}: `;
    const shown = name === undefined ? '' : `${styled(quoted(name), 'key', options.colors)}: `;
    return `${' '.repeat(inner)}${shown}${lines(part, inner, key.length + 1, options)}`;
  });
  return `${opens}\n${texts.join(',\n')}\n${' '.repeat(indent)}${closes}`;
}

/** Does not print what is far too long only to see that it is. */
function fits(value: unknown, width: number): boolean {
  return roughLength(value, width) <= width && oneLine(value, false).length <= width;
}

function roughLength(value: unknown, most: number): number {
  const parts = partsOf(value);
  if (parts === undefined) return typeof value === 'string' ? value.length : 1;
  let length = 2;
  for (const [name, part] of parts) {
    length += (name?.length ?? 0) + roughLength(part, most - length) + 2;
    if (length > most) break;
  }
  return length;
}

function oneLine(value: unknown, colors: boolean): string {
  const parts = partsOf(value);
  if (parts === undefined) return scalar(value, colors);
  const texts = parts.map(([name, part]) => {
    const text = oneLine(part, colors);
    return name === undefined ? text : `${styled(quoted(name), 'key', colors)}: ${text}`;
  });
  if (Array.isArray(value)) return `[${texts.join(', ')}]`;
  return texts.length === 0 ? '{}' : `{ ${texts.join(', ')} }`;
}

function partsOf(value: unknown): [string | undefined, unknown][] | undefined {
  if (Array.isArray(value)) return value.map((element) => [undefined, element]);
  if (typeof value === 'object' && value !== null) return Object.entries(value);
  return undefined;
}

function scalar(value: unknown, colors: boolean): string {
  if (typeof value === 'string') return styled(quoted(value), 'text', colors);
  return styled(String(value), 'scalar', colors);
}

function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

/** Text of a peer without what a terminal could take for a command. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are the point
  return text.replaceAll(/[\0-\u0008\u000B-\u001F\u007F-\u009F]/g, '?');
}
