// What can be changed of a terminal? The door to native/terminal.c.
import { loadAddon } from './load.ts';
import { checkResult } from './system-error.ts';

interface TerminalBinding {
  readonly setTerminalSignals: (fd: number, on: boolean) => number;
}

const binding = loadAddon() as TerminalBinding;

/**
 * Whether the keys that send signals (Ctrl-C, Ctrl-Z, Ctrl-\) do, instead of being read: termios(3), ISIG.
 * @throws SystemError ENOTTY
 */
export function setTerminalSignals(fd: number, on: boolean): void {
  checkResult(binding.setTerminalSignals(fd, on), 'tcsetattr');
}
