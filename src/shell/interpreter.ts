// What does one line do in a shell? A command of the server, or one of the shell's own: help, wait, exit.
//
//   wait EVENT [KEY=VALUE…]   until that event has come: since the last command, or from now on
import { QmpError, type QmpEvent } from '../client/index.ts';
import { writeJson, type JsonOutput } from '../json/index.ts';
import type { CommandRunner } from './command-runner.ts';
import { helpText } from './help.ts';
import { LineError } from './line-error.ts';
import { present, type PresentOptions, printable, styled } from './present.ts';
import { splitWords, type Word } from './words.ts';

/** The words of the shell itself. */
export const OWN_WORDS: readonly string[] = ['exit', 'help', 'wait'];

export interface InterpreterOptions {
  /** Shows a text, without its line end. */
  readonly print: (text: string) => void;
  /** One line of JSON for each reply and event, rather than text for people. */
  readonly json: boolean;
  /** Somebody types: `quit` has to be said twice. */
  readonly interactive: boolean;
  readonly style: () => PresentOptions;
}

/** Events since the last command, for `wait`; more than anybody waits for. */
const mostEvents = 10_000;

export class Interpreter {
  readonly runner: CommandRunner;
  readonly #options: InterpreterOptions;
  #events: QmpEvent[] = [];
  #lastLine = '';
  #eventCame: (() => void) | undefined;

  constructor(runner: CommandRunner, options: InterpreterOptions) {
    this.runner = runner;
    this.#options = options;
    runner.client.onEvent('*', (event) => this.#showEvent(event));
  }

  /**
   * Carries out a line.
   *
   * @returns false where the line leaves the shell
   * @throws LineError, QmpError and what else an execute() can throw
   */
  async run(line: string, signal: AbortSignal): Promise<boolean> {
    const { words } = splitWords(line);
    const previous = this.#lastLine;
    this.#lastLine = line.trim();
    const [name, ...rest] = words;
    switch (name?.text) {
      case undefined:
        return true;
      case 'exit':
        return false;
      case 'help':
        await this.#help(rest);
        return true;
      case 'wait':
        await this.#wait(rest, name, signal);
        return true;
      case 'quit':
        if (this.#options.interactive && previous !== 'quit') {
          throw new LineError('this ends the server: enter it once more to do so; exit leaves the shell', name);
        }
    }
    this.#events = [];
    const { value, sets } = await this.runner.run(words, { signal });
    this.#showReturn(value);
    if (this.#options.json) return true;
    const { colors } = this.#options.style();
    for (const { set, file } of sets) {
      const note = `${file.path} is /dev/fdset/${set} until remove-fd fdset-id=${set}`;
      this.#options.print(styled(note, 'note', colors));
    }
    return true;
  }

  /** Shows an error, in one line where it is short. `before` is the width of what stands before the line on the screen. */
  showError(error: Error, line: string, before: number): string {
    const { colors, width } = this.#options.style();
    if (error instanceof QmpError) {
      if (this.#options.json) return writeJson({ error: { class: error.class, desc: error.desc } }, { dense: true });
      const named = error.class === 'GenericError' ? 'error' : error.class;
      return styled(`${named}: ${printable(error.desc)}${hintFor(error)}`, 'error', colors);
    }
    const message = styled(`error: ${printable(error.message)}`, 'error', colors);
    if (!(error instanceof LineError) || line.includes('\n') || before + line.length >= width) return message;
    const { start, end } = error.span;
    const caret = `${' '.repeat(before + start)}^${'~'.repeat(Math.max(0, end - start - 1))}`;
    const isShort = caret.length + 1 + error.message.length <= width;
    const text = styled(printable(error.message), 'error', colors);
    return isShort ? `${styled(caret, 'error', colors)} ${text}` : `${styled(caret, 'error', colors)}\n${message}`;
  }

  async #help(words: readonly Word[]): Promise<void> {
    const schema = await this.runner.schema();
    if (schema === undefined) throw new LineError('this server does not describe its commands', { start: 0, end: 4 });
    this.#options.print(helpText(words, schema));
  }

  #showReturn(value: unknown): void {
    const { json, style, print } = this.#options;
    print(json ? writeJson({ return: value as JsonOutput }, { dense: true }) : present(value, style()));
  }

  #showEvent(event: QmpEvent): void {
    this.#events.push(event);
    if (this.#events.length > mostEvents) this.#events.shift();
    const { json, style, print } = this.#options;
    const { name, data, timestamp } = event;
    if (json) {
      const values = { event: name, data: data as JsonOutput, timestamp: timestamp as unknown as JsonOutput };
      print(writeJson(values, { dense: true }));
    } else {
      const { colors, width } = style();
      const shown =
        Object.keys(data).length === 0 ? '' : ` ${present(data, { colors, width: width - name.length - 17 })}`;
      print(`${styled(clock(event), 'note', colors)} ${styled(printable(name), 'event', colors)}${shown}`);
    }
    this.#eventCame?.();
  }

  async #wait(words: readonly Word[], own: Word, signal: AbortSignal): Promise<void> {
    const [name, ...filters] = words;
    if (name === undefined) throw new LineError('wait for which event? wait EVENT [KEY=VALUE …]', own);
    const isWanted = (event: QmpEvent): boolean =>
      event.name === name.text && filters.every(({ text }) => matches(event.data, text));
    for (;;) {
      const found = this.#events.findIndex(isWanted);
      if (found >= 0) return void this.#events.splice(0, found + 1);
      await this.#nextEvent(signal);
    }
  }

  #nextEvent(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      void this.runner.client.closed.then((cause) => reject(cause ?? new Error('the connection was closed')));
      this.#eventCame = () => {
        this.#eventCame = undefined;
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
    });
  }
}

/** Whether `key.member=value` is true of an event's data. */
function matches(data: Readonly<Record<string, unknown>>, filter: string): boolean {
  const equals = filter.indexOf('=');
  let value: unknown = data;
  for (const name of filter.slice(0, equals).split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  }
  return String(value) === filter.slice(equals + 1);
}

/** The time of day of an event, local. */
function clock({ timestamp: { seconds, microseconds } }: QmpEvent): string {
  const date = new Date(seconds * 1000);
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0'));
  return `${parts.join(':')}.${String(microseconds).padStart(6, '0').slice(0, 3)}`;
}

/** What a server cannot know: how a file is given here. */
export function hintFor(error: QmpError): string {
  return /SCM_RIGHTS/.test(error.desc) ? ': give the file as @FILE:rw' : '';
}
