// What are the words of a command line? Blanks separate them, but not inside quotes and not inside JSON:
//
//   blockdev-add {"driver": "null-co", "node-name": "n"}
//   blockdev-add driver=file filename="my disk.img" node-name=n
//
// Quotes count at the start of a word, of a value (after `=`), of a file (after `@`), and within JSON; elsewhere they are
// ordinary characters. They stay in the word: what they mean is for who reads the value.
import { LineError, type Span } from './line-error.ts';

export interface Word extends Span {
  readonly text: string;
}

export interface Words {
  readonly words: readonly Word[];
  /** What is still open at the end: a quote or a bracket, so that the next line belongs to this one. */
  readonly open: string | undefined;
}

const closing: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

/**
 * Splits a line.
 *
 * @throws LineError a bracket closes what is not open
 */
export function splitWords(line: string): Words {
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isBlank(line[at]!)) at++;
    if (at >= line.length || (line[at] === '#' && words.length === 0)) return { words, open: undefined };
    const { end, open } = wordEnd(line, at);
    words.push({ text: line.slice(at, end), start: at, end });
    if (open !== undefined) return { words, open };
    at = end;
  }
}

/** The words of an argument list, as a shell has split them; places are those of the words joined by blanks. */
export function asWords(args: readonly string[]): Word[] {
  let start = 0;
  return args.map((text) => {
    const word = { text, start, end: start + text.length };
    start = word.end + 1;
    return word;
  });
}

function wordEnd(line: string, from: number): { end: number; open: string | undefined } {
  const brackets: string[] = [];
  for (let at = from; at < line.length; at++) {
    const char = line[at]!;
    if ((char === '"' || char === "'") && (brackets.length > 0 || startsValue(line, from, at))) {
      const end = quoteEnd(line, at);
      if (end === undefined) return { end: line.length, open: char };
      at = end;
    } else if (char in closing && (brackets.length > 0 || startsValue(line, from, at))) {
      brackets.push(closing[char]!);
    } else if (brackets.length > 0 && (char === '}' || char === ']')) {
      if (brackets.pop() !== char) throw new LineError(`'${char}' closes nothing that is open here`, span(at));
    } else if (brackets.length === 0 && isBlank(char)) {
      return { end: at, open: undefined };
    }
  }
  return { end: line.length, open: brackets.at(-1) };
}

function startsValue(line: string, wordStart: number, at: number): boolean {
  return at === wordStart || line[at - 1] === '=' || line[at - 1] === '@';
}

/** Where the quote that opens at `at` closes; a backslash escapes within double quotes, as in JSON. */
function quoteEnd(line: string, at: number): number | undefined {
  const quote = line[at]!;
  for (let i = at + 1; i < line.length; i++) {
    if (quote === '"' && line[i] === '\\') i++;
    else if (line[i] === quote) return i;
  }
  return undefined;
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r';
}

function span(at: number): Span {
  return { start: at, end: at + 1 };
}
