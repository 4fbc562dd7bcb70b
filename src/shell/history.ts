// Which lines does the shell remember from one time to the next? A file of the user's, $XDG_STATE_HOME/fdset/history, that
// nobody else may read. Lines that begin with a blank and lines that name a secret are not kept.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const most = 1000;

/** Keys whose values nobody wants in a file: set_password password=, object-add qom-type=secret data=. */
const secrets = /pass(?:word|wd|phrase)|secret|credential|token|private/i;

/** Where the history is: below $XDG_STATE_HOME, by default ~/.local/state. */
export function historyFile(environment: NodeJS.ProcessEnv = process.env): string {
  const state = environment['XDG_STATE_HOME'];
  return join(state?.startsWith('/') ? state : join(homedir(), '.local', 'state'), 'fdset', 'history');
}

/** Whether a line may be kept. */
export function isRemembered(line: string): boolean {
  return line.trim() !== '' && !/^\s/.test(line) && !secrets.test(line);
}

/** The lines kept, the last one first, as node:readline wants them. A history that cannot be read is empty. */
export function loadHistory(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    if (lines.length > 2 * most) writeFileSync(file, `${lines.slice(-most).join('\n')}\n`, { mode: 0o600 });
    return lines.slice(-most).reverse();
  } catch {
    return [];
  }
}

/** Adds a line, if it may be kept. A history that cannot be written is no reason to disturb anybody. */
export function remember(file: string, line: string): void {
  if (!isRemembered(line)) return;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    appendFileSync(file, `${line.replaceAll('\n', ' ')}\n`, { mode: 0o600 });
  } catch {
    // read-only home, full disk
  }
}
