// What does an NBD client see of an export? Just enough of a client for the `nbd` steps of the transcripts: old-style
// option NBD_OPT_EXPORT_NAME and simple replies. It is written apart from src/nbd/, so that it can disagree with it.
import net from 'node:net';
import type { NbdAction } from './scenario.ts';

const TIMEOUT = 5000;

/** One NBD connection; every action answers with what the transcript calls its outcome. */
export class NbdProbe {
  readonly #socket: net.Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => undefined;
  #cookie = 0n;

  private constructor(path: string) {
    this.#socket = net.connect(path);
    this.#socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  static async open(path: string, exportName: string): Promise<{ probe: NbdProbe; outcome: unknown }> {
    const probe = new NbdProbe(path);
    const outcome = await probe.#guard(async () => {
      const hello = await probe.#read(18);
      if (hello.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') return { error: 'closed' };
      const name = Buffer.from(exportName);
      const option = Buffer.alloc(20);
      option.writeUInt32BE(3, 0);
      option.write('IHAVEOPT', 4);
      option.writeUInt32BE(1, 12);
      option.writeUInt32BE(name.length, 16);
      probe.#socket.write(Buffer.concat([option, name]));
      const info = await probe.#read(10);
      return { size: Number(info.readBigUInt64BE(0)), flags: info.readUInt16BE(8) };
    });
    return { probe, outcome };
  }

  async act(action: NbdAction): Promise<unknown> {
    const { offset = 0, length = 0, byte = 0 } = action;
    switch (action.do) {
      case 'read':
        return this.#request(0, offset, length);
      case 'write':
        return this.#request(1, offset, length, Buffer.alloc(length, byte));
      case 'flush':
        return this.#request(3, 0, 0);
      default:
        throw new Error(`no NBD action '${action.do}'`);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #request(type: number, offset: number, length: number, payload = Buffer.alloc(0)): Promise<unknown> {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513, 0);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(++this.#cookie, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(length, 24);
    return this.#guard(async () => {
      this.#socket.write(Buffer.concat([header, payload]));
      const errno = (await this.#read(16)).readUInt32BE(4);
      if (errno !== 0) return { errno };
      return type === 0 ? { hex: (await this.#read(length)).toString('hex') } : { errno: 0 };
    });
  }

  async #guard(action: () => Promise<unknown>): Promise<unknown> {
    try {
      return await action();
    } catch {
      return { error: 'closed' };
    }
  }

  async #read(length: number): Promise<Buffer> {
    const timer = setTimeout(() => this.#socket.destroy(), TIMEOUT);
    try {
      while (this.#received.length < length) {
        if (this.#closed) throw new Error('closed');
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }
}
