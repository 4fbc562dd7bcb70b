// One monitor prints over several lines. Is the layout right? Then the message can be compared as if it stood in one.

/** Puts the lines of the stream together to messages: one that is printed pretty begins with a line of its own. */
export class Messages {
  #pretty: string[] = [];

  /** The message that ends with this line, in one line; undefined where it goes on. */
  push(line: string): string | undefined {
    if (this.#pretty.length === 0 && line !== '{') return line;
    this.#pretty.push(line);
    if (line !== '}') return undefined;
    const message = inOneLine(this.#pretty);
    this.#pretty = [];
    return message;
  }
}

/** The compact form, or the lines as they are where they are not indented as they should be. */
export function inOneLine(lines: readonly string[]): string {
  let message = '';
  let depth = 0;
  for (const line of lines) {
    const text = line.trimStart();
    const closes = text.startsWith('}') || text.startsWith(']');
    if (closes) depth--;
    if (line.length - text.length !== 4 * depth) return `wrong layout: ${lines.join('\\r\\n')}`;
    message += message.endsWith(',') ? ` ${text}` : text;
    if (text.endsWith('{') || text.endsWith('[')) depth++;
  }
  return message;
}
