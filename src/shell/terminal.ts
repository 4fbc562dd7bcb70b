// What does a person type into? A prompt of node:readline: completion, history, lines that go on over several while a
// bracket is open, events above the prompt as they come, Ctrl-C for the line or the command that runs, Ctrl-D to leave.
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { callbackify } from 'node:util';

import { complete } from './complete.ts';
import { loadHistory, remember } from './history.ts';
import { type Interpreter, OWN_WORDS } from './interpreter.ts';
import { LineError } from './line-error.ts';
import { liveValues } from './live-values.ts';
import { splitWords } from './words.ts';

export interface TerminalOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly historyFile: string;
}

const PROMPT = 'qmp> ';
const MORE = '...  ';

export class Terminal {
  readonly #options: TerminalOptions;
  readonly #lines: string[] = [];
  #readline: Interface | undefined;
  /** Lines of a command that is not complete yet. */
  #begun = '';
  #running: AbortController | undefined;
  #isBusy = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  /** Shows a text above the line that is being typed, which stays. */
  print(text: string): void {
    const { output } = this.#options;
    const readline = this.#readline;
    if (readline === undefined || (this.#isBusy && readline.line === '')) return void output.write(`${text}\n`);
    moveCursor(output, 0, -readline.getCursorPos().rows);
    cursorTo(output, 0);
    clearScreenDown(output);
    output.write(`${text}\n`);
    setPrivate(readline, 'prevRows', 0); // the cursor is where a first row begins
    readline.prompt(true);
  }

  /** Reads lines until the person leaves or the server is gone. @returns the exit code */
  async converse(interpreter: Interpreter): Promise<0 | 1> {
    const { input, output, historyFile } = this.#options;
    const readline = createInterface({
      input,
      output,
      prompt: PROMPT,
      history: loadHistory(historyFile),
      historySize: 1000,
      removeHistoryDuplicates: true,
      completer: callbackify((line: string) => this.#complete(interpreter, line)),
    });
    this.#readline = readline;
    const isLeft = new Promise<void>((resolve) => readline.once('close', resolve));
    readline.on('line', (line) => {
      this.#lines.push(line);
      if (!this.#isBusy) void this.#takeLines(interpreter);
    });
    readline.on('SIGINT', () => this.#interrupt());
    let lost: Error | undefined;
    void interpreter.runner.client.closed.then((cause) => {
      lost = cause;
      this.#leave();
    });
    readline.prompt();
    await isLeft;
    this.#readline = undefined;
    this.#running?.abort(new Error('the shell was left'));
    if (lost === undefined) output.write('\n');
    else output.write(`${lost.message}\n`);
    return lost === undefined ? 0 : 1;
  }

  async #takeLines(interpreter: Interpreter): Promise<void> {
    this.#isBusy = true;
    this.#readline?.setPrompt('');
    for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
      this.#begun = this.#begun === '' ? line : `${this.#begun}\n${line}`;
      if (isOpen(this.#begun)) continue;
      const whole = this.#begun;
      this.#begun = '';
      if (await this.#run(interpreter, whole)) continue;
      this.#leave();
      return;
    }
    this.#isBusy = false;
    this.#readline?.setPrompt(this.#begun === '' ? PROMPT : MORE);
    this.#readline?.prompt(true);
  }

  async #run(interpreter: Interpreter, line: string): Promise<boolean> {
    remember(this.#options.historyFile, line);
    this.#running = new AbortController();
    try {
      return await interpreter.run(line, this.#running.signal);
    } catch (error) {
      if (interpreter.runner.client.state === 'closed') return false; // which is said when the terminal is left
      this.print(interpreter.showError(error as Error, line, PROMPT.length));
      return true;
    } finally {
      this.#running = undefined;
    }
  }

  /** A prompt that is closed must not be asked anything. */
  #leave(): void {
    const readline = this.#readline;
    this.#readline = undefined;
    readline?.close();
  }

  #interrupt(): void {
    const readline = this.#readline!;
    if (this.#running !== undefined) {
      this.#running.abort(new Error('given up: the server may still carry it out'));
      return;
    }
    const wasEmpty = readline.line === '' && this.#begun === '';
    this.#begun = '';
    setPrivate(readline, 'line', '');
    setPrivate(readline, 'cursor', 0);
    this.#options.output.write(wasEmpty ? '^C (Ctrl-D or exit leaves)\n' : '^C\n');
    setPrivate(readline, 'prevRows', 0);
    readline.setPrompt(PROMPT);
    readline.prompt();
  }

  async #complete(interpreter: Interpreter, line: string): Promise<[string[], string]> {
    try {
      const schema = await interpreter.runner.schema();
      if (schema === undefined) return [[], line];
      const before = this.#begun === '' ? '' : `${this.#begun}\n`;
      const live = liveValues(interpreter.runner.client);
      const { candidates, part } = await complete(before + line, schema, OWN_WORDS, live);
      return [[...candidates], part];
    } catch {
      return [[], line]; // the connection is gone, which is said elsewhere
    }
  }
}

/** Whether the next line belongs to this one. */
export function isOpen(line: string): boolean {
  try {
    return splitWords(line).open !== undefined;
  } catch (error) {
    if (error instanceof LineError) return false;
    throw error;
  }
}

/** What node:readline has no method for: `line` and `cursor` are documented as read-only, `prevRows` not at all. */
function setPrivate(readline: Interface, name: 'line' | 'cursor' | 'prevRows', value: string | number): void {
  Reflect.set(readline, name, value);
}
