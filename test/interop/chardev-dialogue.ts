// One dialogue about character devices with two programs: what each of them says to the same requests.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { fdsetMain } from '../cli/fdset-process.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { qemu10, type QemuVersion } from '../qemu-versions.ts';

export type Program = 'fdset' | 'qemu-storage-daemon' | 'qemu-system-x86_64';

/** One of the programs, with a monitor, and what it has said so far. */
export class Conversation {
  /** For sockets and files; `DIR` in what was said. */
  readonly folder = mkdtempSync(join(tmpdir(), 'fdset-chardev-'));
  readonly said: string[] = [];
  readonly child: ChildProcess;
  readonly #connections: QmpConnection[] = [];

  private constructor(program: Program, args: readonly string[], version: QemuVersion) {
    const [file = '', ...rest] = commandOf(program, version);
    const device = `socket,id=m0,path=${this.path('qmp')},server=on,wait=off`;
    const dashes = program === 'qemu-system-x86_64' ? '-' : '--';
    const monitor = program === 'qemu-system-x86_64' ? ['-mon', 'm0,mode=control'] : ['--monitor', 'm0'];
    const options = args.map((each) =>
      (each === '--mon'
        ? program === 'qemu-system-x86_64'
          ? '-mon'
          : '--monitor'
        : each.replace(/^--/, dashes)
      ).replaceAll('DIR', this.folder),
    );
    this.child = spawn(file, [...rest, `${dashes}chardev`, device, ...monitor, ...options], { stdio: 'ignore' });
  }

  /** Starts a program and negotiates; in `args` `DIR` stands for the folder. */
  static async begin(
    program: Program,
    args: readonly string[] = [],
    hello = '{"execute": "qmp_capabilities"}',
    version = qemu10,
  ) {
    const conversation = new Conversation(program, args, version);
    for (let tries = 0; !existsSync(conversation.path('qmp')) && tries < 200; tries++) await sleep(50);
    // A client that comes while QEMU's monitor moves to its thread gets two greetings.
    if (program !== 'fdset') await sleep(400);
    await conversation.connect(hello);
    return conversation;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async connect(hello: string): Promise<void> {
    const connection = await QmpConnection.open(this.path('qmp'));
    this.#connections.push(connection);
    await connection.read(1);
    connection.send(hello);
    await connection.read(1);
  }

  get connection(): QmpConnection {
    return this.#connections.at(-1)!;
  }

  /** Sends a request and keeps the reply, or replies. */
  async ask(request: string | object, { fds = [] as number[], replies = 1 } = {}): Promise<string> {
    const text = typeof request === 'string' ? request : JSON.stringify(request);
    this.connection.send(text.replaceAll('DIR', this.folder), fds);
    return this.hear(replies);
  }

  /** Keeps what comes next. */
  async hear(count: number): Promise<string> {
    const text = this.plain(await this.connection.read(count));
    this.said.push(text);
    return text;
  }

  /** Keeps what query-chardev says, sorted: the order is that of a hash table. */
  async askDevices(): Promise<void> {
    this.connection.send('{"execute": "query-chardev"}');
    const { return: devices } = JSON.parse(this.plain(await this.connection.read(1))) as { return: object[] };
    this.said.push(...devices.map((device) => JSON.stringify(device)).sort());
  }

  plain(text: string): string {
    return text
      .replaceAll(this.folder, 'DIR')
      .replaceAll(/(\/tmp\/qemu-socket-)\w+/g, '$1X')
      .replaceAll(/(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|::1?):\d{5}\b/g, '$1:PORT');
  }

  async end(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** What starts a program. */
export function commandOf(program: Program, version = qemu10): readonly string[] {
  if (program === 'fdset') return [process.execPath, fdsetMain, 'storage-daemon', '--compat', `qemu-${version.name}`];
  const command = version.command(program);
  if (program === 'qemu-storage-daemon') return command;
  return [...command, '-machine', 'none', '-nodefaults', '-display', 'none', '-S'];
}

/** What two programs say in the same dialogue. */
export async function compare(
  reference: Exclude<Program, 'fdset'>,
  talk: (conversation: Conversation) => Promise<void>,
  args: readonly string[] = [],
  hello?: string,
  version?: QemuVersion,
): Promise<{ ours: readonly string[]; theirs: readonly string[] }> {
  const said: (readonly string[])[] = [];
  for (const program of ['fdset', reference] as const) {
    const conversation = await Conversation.begin(program, args, hello, version);
    try {
      await talk(conversation);
      said.push(conversation.said);
    } finally {
      await conversation.end();
    }
  }
  return { ours: said[0]!, theirs: said[1]! };
}
