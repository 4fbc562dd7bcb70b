// A server of literal bytes: what it says is up to the test, whether QMP or not.
import net from 'node:net';
import { join } from 'node:path';

export const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}\r\n';

/** What a server does with one connection. */
export type Serve = (socket: net.Socket, nextRequest: () => Promise<string>) => Promise<void> | void;

export class RawServer {
  readonly path: string;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  connections = 0;

  private constructor(path: string, serve: Serve) {
    this.path = path;
    this.#server = net.createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      void serve(socket, requestsOf(socket));
    });
  }

  static async start(folder: string, serve: Serve): Promise<RawServer> {
    const server = new RawServer(join(folder, `raw${Math.random()}`), serve);
    await new Promise<void>((resolve) => server.#server.listen(server.path, resolve));
    return server;
  }

  /** Drops the connections there are. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Greets and negotiates. */
export async function greet(socket: net.Socket, nextRequest: () => Promise<string>): Promise<void> {
  socket.write(GREETING);
  socket.write(reply(await nextRequest(), '{}'));
}

/** The success of a request. */
export function reply(request: string, value: string): string {
  const id = idOf(request);
  return id === undefined ? `{"return": ${value}}\r\n` : `{"return": ${value}, "id": ${id}}\r\n`;
}

export function idOf(request: string): number | undefined {
  return (JSON.parse(request) as { id?: number }).id;
}

/** Takes the requests of a socket one by one: objects, of which no string has a brace. */
function requestsOf(socket: net.Socket): () => Promise<string> {
  let text = '';
  let wake: () => void = () => undefined;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    wake();
  });
  const next = (): string | undefined => {
    let depth = 0;
    for (let i = 0; i < text.length; i++) {
      if (text[i] === '{') depth++;
      else if (text[i] === '}' && --depth === 0) {
        const request = text.slice(0, i + 1);
        text = text.slice(i + 1);
        return request;
      }
    }
    return undefined;
  };
  return async () => {
    let request: string | undefined;
    while ((request = next()) === undefined) await new Promise<void>((resolve) => (wake = resolve));
    return request;
  };
}
