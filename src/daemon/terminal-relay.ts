// How does the daemon's output reach a terminal without the terminal reaching the daemon? An fd of a terminal can
// usually be read as well, and takes commands in what is written. So the daemon writes into a pipe, and its starter
// copies what is printable.
import { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { WriteStream } from 'node:tty';

import { pipe } from '../addon/index.ts';

/** Text without what a terminal could take for a command. Tab and newline stay. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are the point
  return text.replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '?');
}

/**
 * A pipe whose content goes to the terminal.
 * @param terminal an fd of a terminal, borrowed; 1 and 2 are written through Node's own streams.
 * @returns the fd to write to, owned by the caller. The relay ends with its last copy.
 */
export function relayToTerminal(terminal: number): number {
  const [reading, writing] = pipe();
  const screen = terminal === 1 ? process.stdout : terminal === 2 ? process.stderr : new WriteStream(terminal);
  const decoder = new StringDecoder('utf8');
  new Socket({ fd: reading, readable: true, writable: false })
    .on('data', (bytes: Buffer) => screen.write(printable(decoder.write(bytes))))
    .on('error', () => {});
  return writing;
}
