// What does a client of a monitor get? Messages, each in one line, as they came.
import { openChannel, connectUnix, type Channel } from '../../../src/socket/index.ts';
import { Messages } from './pretty.ts';

/** How long a server may take for an answer, in milliseconds. */
const PATIENCE = 10_000;

/** A server has not answered. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
}

/** A connection to a monitor. */
export class Connection {
  readonly #channel: Channel;
  #lines: string[] = [];
  #rest = '';
  readonly #messages = new Messages();
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(channel: (connection: Connection) => Channel) {
    this.#channel = channel(this);
  }

  static async open(path: string): Promise<Connection> {
    const fd = await connectUnix(path, { timeoutMs: PATIENCE });
    return new Connection((connection) =>
      openChannel(
        fd,
        {
          data: (_, bytes) => connection.#data(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
          end: () => connection.#end(),
          close: () => connection.#end(),
        },
        { receiveFds: false },
      ),
    );
  }

  #data(bytes: Buffer): void {
    const lines = (this.#rest + bytes.toString('latin1')).split('\r\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const message = this.#messages.push(line);
      if (message !== undefined) this.#lines.push(message);
    }
    this.#wake();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  write(bytes: Uint8Array, fds: readonly number[]): void {
    this.#channel.write(bytes, fds);
  }

  /** Takes the messages up to the answer with this id (JSON text). @throws NoAnswer */
  async answers(id: string): Promise<string[]> {
    const first = `{"id": ${id}, "error"`;
    const last = `, "id": ${id}}`;
    return this.#until((line) => line.startsWith(first) || line.endsWith(last));
  }

  /** Takes the next message. @throws NoAnswer */
  async message(): Promise<string> {
    return (await this.#until(() => true))[0]!;
  }

  async #until(isLast: (line: string) => boolean): Promise<string[]> {
    let looked = 0;
    for (;;) {
      for (; looked < this.#lines.length; looked++) {
        if (isLast(this.#lines[looked]!)) return this.#lines.splice(0, looked + 1);
      }
      if (this.#ended) throw new NoAnswer(`closed after ${JSON.stringify(this.#lines)}`);
      if (!(await this.#woken())) throw new NoAnswer(`no answer after ${JSON.stringify(this.#lines)}`);
    }
  }

  /** Sends no more, waits until the server has closed too, and gives what still came. @throws NoAnswer */
  async end(): Promise<string[]> {
    this.#channel.end();
    while (!this.#ended) if (!(await this.#woken())) throw new NoAnswer('the server does not close the connection');
    this.#channel.destroy();
    return this.#rest === '' ? this.#lines : [...this.#lines, this.#rest];
  }

  destroy(): void {
    this.#channel.destroy();
  }

  /** Waits until something has happened; false where nothing does. */
  async #woken(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const woken = await new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true);
      timer = setTimeout(() => resolve(false), PATIENCE);
    });
    clearTimeout(timer);
    return woken;
  }
}
