// A character device on standard input and output, as QEMU's chardev/char-stdio.c: a pipe, a file or a terminal. Node puts
// back the modes of a terminal, and the flags of what it shares with others, when the process ends.
import { isatty } from 'node:tty';

import { setTerminalSignals } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { type CharChannel, type CharFrontend, type CharHandlers, FrontendSlot, type ListedChardev } from './chardev.ts';

/** Of the whole process. */
let inUse = false;

/** Its one client has come with the process and does not come back once it has ended its input. */
export class StdioChardev implements ListedChardev {
  readonly id: string;
  readonly filename = 'stdio';
  readonly #slot: FrontendSlot;
  #signalsOff = false;
  #closed = false;

  /**
   * @param options `signal`: whether the keys that send signals on a terminal still do
   * @throws FdsetError another device has them
   */
  constructor(id: string, { signal = true }: { readonly signal?: boolean } = {}) {
    if (inUse) throw new FdsetError('ERR_FDSET_CHARDEV', 'cannot use stdio by multiple character devices');
    inUse = true;
    this.id = id;
    this.#slot = new FrontendSlot(id);
    this.#signalsOff = !signal && isatty(0);
    if (this.#signalsOff) setTerminalSignals(0, false);
  }

  get attached(): boolean {
    return this.#slot.frontend !== undefined;
  }

  attach(frontend: CharFrontend): void {
    this.#slot.set(frontend);
    frontend.connected((handlers) => new StdioChannel(handlers));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    inUse = false;
    if (this.#signalsOff) setTerminalSignals(0, true);
  }
}

/** Standard input and output as a connection: bytes only, no fds. */
class StdioChannel implements CharChannel {
  readonly #handlers: CharHandlers;
  readonly #input = process.stdin;
  readonly #output = process.stdout;
  #received = 0;
  #buffered = 0;
  #corks = 0;
  #corked = '';
  #destroyed = false;

  constructor(handlers: CharHandlers) {
    this.#handlers = handlers;
    this.#input.on('data', this.#data).on('end', this.#end).on('error', this.#failed);
    this.#output.on('error', this.#failed);
  }

  get bytesReceived(): number {
    return this.#received;
  }

  get bufferedBytes(): number {
    return this.#buffered + this.#corked.length;
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  write(data: string | Uint8Array): boolean {
    if (this.#destroyed) return true;
    if (this.#corks > 0 && typeof data === 'string') {
      this.#corked += data;
      return this.#buffered === 0;
    }
    this.#sendCorked();
    this.#send(data);
    return this.#buffered === 0;
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    if (--this.#corks === 0) this.#sendCorked();
  }

  #sendCorked(): void {
    const text = this.#corked;
    this.#corked = '';
    if (text !== '' && !this.#destroyed) this.#send(text);
  }

  #send(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    this.#buffered += bytes.length;
    this.#output.write(bytes, () => {
      this.#buffered -= bytes.length;
      if (this.#buffered === 0 && !this.#destroyed) this.#handlers.drain?.(this);
    });
  }

  pause(): void {
    if (!this.#destroyed) this.#input.pause();
  }

  resume(): void {
    if (!this.#destroyed) this.#input.resume();
  }

  /** The input stays open: it is the process's. */
  destroy(error?: Error): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#corked = '';
    this.#input.off('data', this.#data).off('end', this.#end).pause();
    // A pipe that nobody reads keeps reporting; nobody listens any more.
    setImmediate(() => this.#handlers.close?.(this, error));
  }

  takeFd(): null {
    return null;
  }

  peerCred(): undefined {}
  settleFds(): void {}

  readonly #data = (bytes: Uint8Array): void => {
    this.#received += bytes.length;
    this.#handlers.data?.(this, bytes);
  };
  readonly #end = (): void => this.#handlers.end?.(this);
  readonly #failed = (error: Error): void => this.destroy(error);
}
