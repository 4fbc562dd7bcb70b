// What does a server answer to a script? Plays it and keeps what is to be compared: the answers of each step, and which
// file is behind each fd. The server is as before afterwards, but for what a fault of it has left behind.
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';
import { Naming } from './naming.ts';
import { type Expected, mayEnableOob, partItems, renderBurst, reopensForWriting, type Write } from './render.ts';
import { type Burst, type Item, type Leave, MONITORS, NODES, type Script } from './script.ts';
import type { Server } from './server.ts';

/** What one step did. */
export interface StepRecord {
  readonly what: string;
  readonly writes: readonly Write[];
  /** Answers, with the names of fds; those to OOB requests last, since it is not settled when they come. */
  readonly answers: readonly string[];
  /** What was asked, with the answer; undefined where it was swallowed by broken JSON. */
  readonly outcomes: readonly { readonly expected: Expected; readonly answer: string | undefined }[];
}

const POLITELY = { do: 'leave', lastBytes: '', fds: [], politely: true, next: undefined } as const;

interface Client {
  readonly connection: Connection;
  oob: boolean;
}

/** One server playing one script. */
export class ScriptRun {
  readonly server: Server;
  readonly record: StepRecord[] = [];
  readonly #clients: (Client | undefined)[] = Array.from({ length: MONITORS }, () => undefined);
  readonly #naming = new Naming();
  #bursts = 0;
  /** Monitors that a client has left without waiting for the server. */
  readonly #departed = new Set<number>();
  /** A node may have been reopened for writing. */
  #reopened = false;
  /** The server did not answer: nothing can be said of it any more. */
  failed = false;

  constructor(server: Server) {
    this.server = server;
  }

  /** Plays the script. What goes wrong is put on the record. */
  async play(script: Script): Promise<void> {
    await this.#guarded(async () => {
      for (const step of script) await (step.do === 'send' ? this.#send(step) : this.#leave(step));
      await this.#renewClients();
      // Brings the names up to date: what is listed has a file to look at.
      this.#naming.expectListing();
      await this.#ask(0, ['"execute":"query-fdsets"']);
    });
  }

  /** Which files are open now, and which is behind each fd that is listed. */
  files(): string[] {
    const { files, pid } = this.server;
    const behind = this.#naming.listed.map(({ name, fd }) => `${name} is ${files.describe(pid, fd) ?? 'another file'}`);
    return [...behind, ...this.server.held()];
  }

  /** Removes all sets and all fds with the names that the script has used, and leaves. */
  async cleanUp(script: Script): Promise<void> {
    await this.#guarded(async () => {
      const removals = this.#naming.sets.map((set) => `"execute":"remove-fd","arguments":{"fdset-id":${set}}`);
      const nodes = NODES.map((name) => `"execute":"blockdev-del","arguments":{"node-name":"${name}"}`);
      // A node that another one is made of can go only when that one is gone.
      if (usesNodes(script)) await this.#ask(0, [...nodes, ...nodes]);
      for (const monitor of this.#clients.keys()) {
        const names = storedNames(script, monitor);
        const closes = names.map((name) => `"execute":"closefd","arguments":{"fdname":${name}}`);
        await this.#ask(monitor, monitor === 0 ? [...removals, ...closes] : closes);
        await this.#leave({ ...POLITELY, monitor });
      }
    });
  }

  /** Closes what is still open. */
  close(): void {
    for (const client of this.#clients) client?.connection.destroy();
  }

  async #guarded(run: () => Promise<void>): Promise<void> {
    if (this.failed) return;
    try {
      await run();
    } catch (error) {
      this.failed = true;
      // Both may fail alike: damaged JSON can swallow a request whose answer is waited for. Numbers are a server's own.
      const text = String(error).replaceAll(/\\"package\\": \\"[^"]*\\"|\d+/g, '…');
      this.#note('no answer', [], [text]);
    }
  }

  #note(
    what: string,
    writes: readonly Write[],
    answers: readonly string[],
    outcomes: StepRecord['outcomes'] = [],
  ): void {
    this.record.push({ what, writes, answers, outcomes });
  }

  async #send(burst: Burst): Promise<void> {
    const { monitor } = burst;
    const fresh = this.#clients[monitor] === undefined;
    const client = (this.#clients[monitor] ??= await this.#connect(monitor));
    await this.#sendGroups(burst, client, fresh, async () => undefined);
  }

  /** @param sent called when the first group is sent, before its answers are waited for */
  async #sendGroups(burst: Burst, client: Client, fresh: boolean, sent: () => Promise<void>): Promise<void> {
    client.oob ||= mayEnableOob(burst, fresh);
    for (const [index, items] of partItems(this.#withoutReopens(burst.items), client.oob).entries()) {
      await this.#sendGroup({ ...burst, items }, client, fresh && index === 0, sent);
    }
  }

  #withoutReopens(items: readonly Item[]): Item[] {
    return items.filter((item) => {
      if (this.#reopened && item.kind === 'request' && item.name === 'blockdev-reopen') return false;
      this.#reopened ||= reopensForWriting(item);
      return true;
    });
  }

  async #sendGroup(burst: Burst, client: Client, fresh: boolean, sent: () => Promise<void>): Promise<void> {
    const { monitor } = burst;
    const state = { number: this.#bursts++, fresh, oob: client.oob, naming: this.#naming };
    const { writes, lastId, expected } = renderBurst(burst, state);
    for (const [index, { bytes, files }] of writes.entries()) {
      if (index > 0 && burst.slowly) await sleep(1);
      client.connection.write(bytes, this.server.files.take(files));
    }
    await sent();
    const lines = await client.connection.answers(lastId);
    const answers = lines.map((line) => this.#naming.canonical(monitor, line));
    this.#note(`monitor ${monitor}`, writes, ...sortOut(expected, answers, fresh));
  }

  async #connect(monitor: number): Promise<Client> {
    this.#departed.delete(monitor);
    return { connection: await Connection.open(this.server.path(monitor)), oob: false };
  }

  async #leave(step: Leave): Promise<void> {
    const { monitor, next } = step;
    const client = this.#clients[monitor];
    if (client === undefined) return;
    if (next === undefined) return this.#part(step, client);
    const follower = await this.#connect(monitor);
    let hasLeft = false;
    await this.#sendGroups({ ...next, monitor }, follower, true, async () => {
      if (hasLeft) return;
      hasLeft = true;
      await this.#part(step, client);
      this.#clients[monitor] = follower;
      this.#departed.delete(monitor);
    });
    if (hasLeft) return;
    follower.connection.destroy();
    await this.#part(step, client);
  }

  async #part({ monitor, lastBytes, fds, politely }: Leave, client: Client): Promise<void> {
    const writes: Write[] = lastBytes === '' ? [] : [{ bytes: Buffer.from(lastBytes, 'latin1'), files: fds }];
    for (const { bytes, files } of writes) client.connection.write(bytes, this.server.files.take(files, false));
    const others = this.#clients.some((other, index) => other !== undefined && index !== monitor);
    if (!others) await this.#awaitDepartures();
    this.#clients[monitor] = undefined;
    if (others && !politely) {
      client.connection.destroy();
      this.#departed.add(monitor);
      this.#note(`the client of monitor ${monitor} leaves`, writes, []);
    } else {
      const lines = await client.connection.end();
      const answers = lines.map((line) => this.#naming.canonical(monitor, line));
      this.#note(`the client of monitor ${monitor} leaves, politely`, writes, answers);
    }
  }

  /** When the last client of all leaves, QEMU 7.2 closes fds: it has to be certain which one that is. */
  async #awaitDepartures(): Promise<void> {
    for (const monitor of this.#departed) {
      const { connection } = await this.#connect(monitor);
      await connection.message();
      await connection.end();
    }
  }

  /** New clients on all monitors: fds that nobody has taken went with the old ones. */
  async #renewClients(): Promise<void> {
    const old = this.#clients.map((client) => client !== undefined);
    for (const [monitor, isOld] of old.entries()) if (!isOld) await this.#greet(monitor);
    for (const [monitor, isOld] of old.entries()) {
      if (!isOld) continue;
      await this.#leave({ ...POLITELY, monitor });
      await this.#greet(monitor);
    }
  }

  async #greet(monitor: number): Promise<void> {
    const client = await this.#connect(monitor);
    this.#clients[monitor] = client;
    client.connection.write(Buffer.from('{"execute":"qmp_capabilities","id":"~hello"}'), []);
    await client.connection.answers('"~hello"');
  }

  /** Sends requests without ids; the last gets one to wait for. */
  async #ask(monitor: number, bodies: readonly string[]): Promise<void> {
    if (bodies.length === 0) return;
    const id = `"~end${this.#bursts++}"`;
    const { connection } = this.#clients[monitor]!;
    const texts = bodies.map((body, index) => `{${body}${index === bodies.length - 1 ? `,"id":${id}` : ''}}`);
    connection.write(Buffer.from(texts.join(''), 'latin1'), []);
    const lines = await connection.answers(id);
    const answers = lines.map((line) => this.#naming.canonical(monitor, line));
    this.#note(`at the end, monitor ${monitor}: ${texts.join('')}`, [], answers);
  }
}

/** All bursts, those of clients that had to wait among them. */
function burstsOf(script: Script): Burst[] {
  return script.flatMap((step) => {
    if (step.do === 'send') return [step];
    return step.next === undefined ? [] : [{ ...step.next, monitor: step.monitor }];
  });
}

function usesNodes(script: Script): boolean {
  const items = burstsOf(script).flatMap((burst) => burst.items);
  return items.some((item) => item.kind === 'request' && item.name.startsWith('block'));
}

/** JSON texts of the names that a script has stored fds under. */
function storedNames(script: Script, monitor: number): string[] {
  const bursts = burstsOf(script).filter((burst) => burst.monitor === monitor);
  const names = bursts.flatMap(({ items }) => items.map((item) => (item.kind === 'request' ? item.stores : undefined)));
  return [...new Set(names)].filter((name) => name !== undefined);
}

/** Finds the answer to each request; answers with ids of requests of their own go behind the others if `oob`. */
function sortOut(
  expected: readonly Expected[],
  answers: readonly string[],
  fresh: boolean,
): [readonly string[], StepRecord['outcomes']] {
  const greeting = fresh ? 1 : 0;
  const inOrder: string[] = [];
  const overtaking: string[] = [];
  const byId = new Map<string, string>();
  for (const answer of answers) {
    const id = OWN_ID.exec(answer)
      ?.slice(1)
      .find((found) => found !== undefined);
    if (id !== undefined) byId.set(id, answer);
    const isOob = expected.some((request) => request.id === id && request.oob);
    (isOob ? overtaking : inOrder).push(answer);
  }
  const unnamed = inOrder.slice(greeting).filter((answer) => !OWN_ID.test(answer));
  const outcomes = expected.map((request) => ({
    expected: request,
    answer: request.id === undefined ? unnamed.shift() : byId.get(request.id),
  }));
  return [[...inOrder, ...overtaking], outcomes];
}

const OWN_ID = /^\{"id": ("~[\d.]+"), "error"|, "id": ("~[\d.]+")\}$/;
