// What does the client of a scenario do, and what comes of it? The part that replaying and recording share: a server, the
// connections to it, and one action per step.
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { QmpConnection } from '../qmp-connection.ts';
import { statusFlags } from './fd-spec.ts';
import type { Bindings } from './match.ts';
import { NbdProbe } from './nbd-probe.ts';
import type { NbdAction, Step, WriteSpec } from './scenario.ts';
import type { ServerUnderTest } from './server.ts';

/** Milliseconds to wait for what must come; only a failing server makes us wait that long. */
export const TIMEOUT = 5_000;
/** Milliseconds between the writes of one step, and for the server to see that a client has gone. */
const PAUSE = 50;

/** What a step shows beside replies: the fields of that name as they are on this server. */
export type Observed = Pick<Step, 'fd-flags' | 'read-file' | 'outcome'> & { exit?: number | null };

/** A scenario in progress. */
export class Run {
  readonly bindings: Bindings;
  readonly #server: ServerUnderTest;
  readonly #connections = new Map<string, QmpConnection>();
  readonly #nbd = new Map<string, NbdProbe>();

  constructor(server: ServerUnderTest) {
    this.#server = server;
    this.bindings = { dir: server.dir, fds: new Map() };
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    for (const probe of this.#nbd.values()) probe.close();
  }

  /** Does what the client does in this step. */
  async act(step: Step): Promise<void> {
    if (step.connect !== undefined) {
      const path = this.#server.sockets[step.monitor ?? 0] ?? '';
      this.#connections.set(step.connect, await QmpConnection.open(path));
    }
    if (step.close !== undefined) {
      this.#connection(step.close).close();
      this.#connections.delete(step.close);
      await sleep(PAUSE);
    }
    if (step.unblock !== undefined) await unblock(join(this.#server.dir, step.unblock));
    for (const [index, write] of writesOf(step).entries()) {
      if (index > 0) await sleep(PAUSE);
      this.#write(this.connection(step), write);
    }
    if (step.shutdown === true) this.connection(step).shutdown();
    if (step.signal !== undefined) this.#server.signal(step.signal);
  }

  /** The connection that a step is about. */
  connection(step: Step): QmpConnection {
    return this.#connection(step.connect ?? step.conn ?? 'a');
  }

  #connection(name: string): QmpConnection {
    const connection = this.#connections.get(name);
    if (connection === undefined) throw new Error(`there is no connection '${name}'`);
    return connection;
  }

  #write(connection: QmpConnection, write: WriteSpec): void {
    const opened = (write.fds ?? []).map((spec) => this.#server.fds.open(spec));
    connection.send(
      this.#bytes(write),
      opened.map(({ fd }) => fd),
    );
    for (const fd of opened.flatMap(({ extra }) => extra)) closeSync(fd);
  }

  #bytes(write: WriteSpec): Buffer {
    if (write.parts !== undefined) {
      return Buffer.concat(write.parts.flatMap((part) => Array<Buffer>(part.repeat ?? 1).fill(this.#bytes(part))));
    }
    if (write.hex !== undefined) return Buffer.from(write.hex, 'hex');
    const filled = (write.text ?? '')
      .replaceAll('${dir}', this.#server.dir)
      .replaceAll(/\$\{fd:(\w+)\}/g, (_, name: string) => String(this.bindings.fds.get(name)));
    return Buffer.from(filled);
  }

  /** Looks at what the step has fields for. */
  async observe(step: Step): Promise<Observed> {
    const observed: Observed = {};
    if (step.exit !== undefined) observed.exit = await this.#server.exitStatus(TIMEOUT);
    const flags = step['fd-flags'];
    if (flags !== undefined) {
      const shown = Object.keys(flags).map((name) => [name, statusFlags(this.#server.fds.kept(name))]);
      Object.assign(observed, { 'fd-flags': Object.fromEntries(shown) as Record<string, string> });
    }
    const file = step['read-file'];
    if (file !== undefined) {
      const content = readFileSync(join(this.#server.dir, file.file));
      const hex = content.subarray(file.offset, file.offset + file.length).toString('hex');
      Object.assign(observed, { 'read-file': { ...file, hex } });
    }
    if (step.nbd !== undefined) Object.assign(observed, { outcome: await this.#nbdAction(step.nbd) });
    return observed;
  }

  async #nbdAction(action: NbdAction): Promise<unknown> {
    const name = action.as ?? 'n';
    if (action.do === 'open') {
      const path = join(this.#server.dir, action.socket ?? 'nbd.sock');
      const { probe, outcome } = await NbdProbe.open(path, action.export ?? '');
      this.#nbd.get(name)?.close();
      this.#nbd.set(name, probe);
      return outcome;
    }
    const probe = this.#nbd.get(name);
    if (probe === undefined) throw new Error(`there is no NBD connection '${name}'`);
    if (action.do !== 'close') return probe.act(action);
    probe.close();
    await sleep(PAUSE);
    return {};
  }
}

/** Opens a FIFO for writing and closes it again, once somebody reads it. */
async function unblock(path: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT;
  for (;;) {
    try {
      closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO' || Date.now() > deadline) throw error;
      await sleep(10);
    }
  }
}

/** A step without `writes` is one write itself. */
function writesOf(step: Step): readonly WriteSpec[] {
  if (step.writes !== undefined) return step.writes;
  const { send: text, hex, parts, fds } = step;
  if (text === undefined && hex === undefined && parts === undefined) return [];
  return [
    {
      ...(text !== undefined && { text }),
      ...(hex !== undefined && { hex }),
      ...(parts && { parts }),
      ...(fds && { fds }),
    },
  ];
}
