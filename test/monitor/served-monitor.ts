// A monitor to talk to: on a socket in a folder of its own, with fd sets and commands made for tests.
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SocketChardev } from '../../src/chardev/index.ts';
import { FdsetTable } from '../../src/fds/index.ts';
import {
  CommandRegistry,
  createMonitorShared,
  Monitor,
  type MonitorOptions,
  type MonitorShared,
  PROFILE_10_0,
  registerControlCommands,
  registerFdCommands,
  registerIntrospectCommands,
  registerJobCommands,
} from '../../src/monitor/index.ts';
import { any, command, event, optional, str } from '../../src/qapi/index.ts';
import { QmpConnection } from '../qmp-connection.ts';

export const xBlock = command('x-block', { data: { name: str } });
export const xThrow = command('x-throw', { data: { text: str } });
export const xEcho = command('x-echo', { data: { value: optional(any) }, returns: any });
export const xHappen = command('x-happen', { data: { name: str } });
export const xHappened = event('X_HAPPENED', { data: { name: str } });
export const xUrgent = command('x-urgent', { allowOob: true });

/** Literal messages. */
export const CAPABILITIES = '{"execute": "qmp_capabilities"}';
export const CAPABILITIES_OOB = '{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}';
export const EMPTY_RETURN = '{"return": {}}\r\n';

/** Monitors that share everything monitors share, and a way to end what `x-block` has begun. */
export class ServedMonitors {
  readonly dir: string;
  readonly fdsets = new FdsetTable();
  readonly registry = new CommandRegistry();
  readonly shared: MonitorShared;
  readonly monitors: readonly Monitor[];
  quits = 0;
  readonly #blocked = new Map<string, () => void>();
  readonly #connections: QmpConnection[] = [];

  constructor(count = 1, options: MonitorOptions = {}) {
    this.dir = mkdtempSync(join(tmpdir(), 'fdset-monitor-'));
    this.shared = createMonitorShared(this.registry);
    registerControlCommands(this.registry, { profile: PROFILE_10_0, onQuit: () => this.quits++ });
    registerFdCommands(this.registry, this.fdsets);
    registerIntrospectCommands(this.registry);
    registerJobCommands(this.registry, new Map());
    this.#registerTestCommands();
    this.monitors = Array.from({ length: count }, (_, index) => {
      const chardev = new SocketChardev(`c${index}`, { path: this.path(index) });
      return new Monitor(chardev, this.shared, options);
    });
  }

  #registerTestCommands(): void {
    this.registry.register(xBlock, ({ name }) => new Promise<void>((resolve) => this.#blocked.set(name, resolve)));
    this.registry.register(xThrow, ({ text }) => {
      throw new TypeError(text);
    });
    this.registry.register(xEcho, ({ value }) => value ?? null);
    this.registry.register(xHappen, ({ name }) => this.shared.events.broadcast(xHappened, { name }));
    this.registry.register(xUrgent, () => undefined);
    this.registry.declareEvent(xHappened);
  }

  path(index = 0): string {
    return join(this.dir, `qmp${index}`);
  }

  /** Connects and takes the greeting; negotiates unless told not to. */
  async connect(index = 0, hello: string | undefined = CAPABILITIES): Promise<QmpConnection> {
    const connection = await QmpConnection.open(this.path(index));
    this.#connections.push(connection);
    await connection.read(1);
    if (hello !== undefined) {
      connection.send(hello);
      await connection.read(1);
    }
    return connection;
  }

  /** What the newest fd of a set is open on. */
  linkOf(fdsetId: number): string {
    const fd = this.fdsets
      .query()
      .find((set) => set['fdset-id'] === fdsetId)
      ?.fds.at(-1)?.fd;
    return readlinkSync(`/proc/self/fd/${fd}`);
  }

  /** Lets the `x-block` of that name return; it must have begun. */
  unblock(name: string): void {
    const resolve = this.#blocked.get(name);
    if (resolve === undefined) throw new Error(`no command is blocked as '${name}'`);
    this.#blocked.delete(name);
    resolve();
  }

  isBlocked(name: string): boolean {
    return this.#blocked.has(name);
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    for (const resolve of this.#blocked.values()) resolve();
    await Promise.all(this.monitors.map((monitor) => monitor.close()));
    this.fdsets[Symbol.dispose]();
    rmSync(this.dir, { recursive: true });
  }
}

/** Text of a request. */
export function request(execute: string, args?: object, id?: unknown): string {
  return JSON.stringify({ execute, arguments: args, id });
}
