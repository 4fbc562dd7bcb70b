// How does a test get a QEMU to talk to? A real monitor with fd sets on a socket in a temporary folder, to which a test
// says what commands answer and what goes wrong, and which says what clients have sent.
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FdsetError } from '../errors.ts';
import { FdsetTable, type OwnedFd } from '../fds/index.ts';
import type { JsonOutput } from '../json/index.ts';
import {
  createMonitorShared,
  Monitor,
  type MonitorShared,
  PROFILES,
  registerControlCommands,
  registerFdCommands,
  registerIntrospectCommands,
} from '../monitor/index.ts';
import { event, type EventDefinition } from '../qapi/index.ts';
import type { ReceivedCommand } from './client-log.ts';
import { type Fault, FaultOrders } from './fault.ts';
import { type CannedReply, ScriptedRegistry } from './scripted-registry.ts';
import { type Reception, TestSocket } from './test-socket.ts';

export interface TestQemuOptions {
  /** The version of QEMU to behave as. Default: `qemu-10.0`. */
  readonly profile?: 'qemu-10.0' | 'qemu-7.2';
}

export interface ReplyOptions {
  /** Whether the command may come as `exec-oob`. Default: false. */
  readonly allowOob?: boolean;
}

/** How long {@link TestQemu.waitFor} waits unless told otherwise, in milliseconds. */
const DEFAULT_PATIENCE = 5000;

/**
 * A QEMU for a test. It knows the fd commands, negotiation, introspection and `quit` by itself; everything else answers
 * CommandNotFound until {@link TestQemu.reply} says what it answers.
 */
export class TestQemu {
  /** The path of its QMP socket. */
  readonly path: string;
  /** The files that clients have passed with `add-fd`. */
  readonly fdsets: FdsetTable;
  /** What clients have sent, oldest first. */
  readonly received: readonly ReceivedCommand[];
  readonly #folder: string;
  readonly #received: ReceivedCommand[] = [];
  readonly #faults = new FaultOrders();
  readonly #delays = new FaultOrders();
  readonly #registry: ScriptedRegistry;
  readonly #shared: MonitorShared;
  readonly #socket: TestSocket;
  readonly #monitor: Monitor;
  /** Fds that canned functions have taken. */
  readonly #taken: OwnedFd[] = [];
  readonly #waiting = new Set<() => void>();
  #endDelays: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  /** Listens at once. */
  constructor(options: TestQemuOptions = {}) {
    const name = options.profile ?? 'qemu-10.0';
    const profile = PROFILES.find((known) => `qemu-${known.name}` === name);
    if (profile === undefined) throw new TypeError(`there is no profile '${name}'`);
    this.received = this.#received;
    this.#folder = mkdtempSync(join(tmpdir(), 'fdset-testing-'));
    this.path = join(this.#folder, 'qmp.sock');
    const closing = new Promise<void>((resolve) => (this.#endDelays = resolve));
    this.#registry = new ScriptedRegistry(this.#delays, closing);
    this.fdsets = new FdsetTable(profile.fdsets);
    this.#shared = createMonitorShared(this.#registry, profile);
    this.#shared.clients.onChange = (count) => this.fdsets.setMonitorClients(count);
    registerControlCommands(this.#registry, { profile, onQuit: () => this.#quit() });
    registerIntrospectCommands(this.#registry);
    registerFdCommands(this.#registry, this.fdsets);
    this.#socket = new TestSocket(this.path, (connection) => ({
      connection,
      faultsFor: (command) => this.#faults.take(command),
      onReceived: (entry) => this.#note(entry),
    }));
    this.#monitor = new Monitor(this.#socket, this.#shared);
  }

  /**
   * Lets a command answer this from now on, whatever it did before: a result, an error made by `errorReply`, or a function
   * of its arguments.
   */
  reply(command: string, reply: CannedReply, options: ReplyOptions = {}): this {
    const tracked: CannedReply =
      typeof reply === 'function' ? (args, call) => reply(args, { takeFd: () => this.#track(call.takeFd()) }) : reply;
    this.#registry.can(command, tracked, options.allowOob ?? false);
    return this;
  }

  /** Orders a fault for the next command of that name, or the next `times` of them. */
  fault(command: string, fault: Fault, times = 1): this {
    const orders = fault.kind === 'delay' ? this.#delays : this.#faults;
    for (let count = 0; count < times; count++) orders.order(command, fault);
    return this;
  }

  /** How clients fare that connect from now on. */
  receive(reception: Reception): this {
    this.#socket.receive(reception);
    return this;
  }

  /** Closes the connection of the client of now, as a QEMU does that dies. */
  drop(): void {
    this.#socket.drop();
  }

  /** Sends an event to the client, if it has negotiated. */
  emit(name: string, data?: { readonly [member: string]: JsonOutput }): void {
    this.#shared.events.broadcast<EventDefinition>(event(name), data);
  }

  /**
   * The `count`th command of that name, when it has come.
   * @throws FdsetError `ERR_FDSET_TEST_TIMEOUT` with what has come instead
   */
  async waitFor(command: string, count = 1, timeoutMs = DEFAULT_PATIENCE): Promise<ReceivedCommand> {
    const find = (): ReceivedCommand | undefined => this.#received.filter((one) => one.command === command)[count - 1];
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (Date.now() >= deadline) throw this.#nothingCame(command, count, timeoutMs);
      await this.#untilNoted(deadline - Date.now());
    }
  }

  /**
   * Ends everything and removes the socket. May be called any number of times.
   * @throws FdsetError `ERR_FDSET_FDS_LEFT` where clients have left fds in sets or under names, or a canned function has
   * left one open that it took; they are closed all the same
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#endDelays();
    this.#socket.close();
    const named = this.#monitor.namedFds.names.map((name) => `'${name}' of getfd`);
    await this.#monitor.close();
    this.#socket.drop();
    const left = [...this.#leftInSets(), ...named, ...this.#leftByFunctions()];
    this.fdsets[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true });
    if (left.length > 0) throw new FdsetError('ERR_FDSET_FDS_LEFT', `fds are left: ${left.join(', ')}`);
  }

  #leftInSets(): string[] {
    return this.fdsets
      .query()
      .flatMap(({ 'fdset-id': id, fds }) => fds.map(({ fd }) => `fd ${fd} of set ${id} (${linkOf(fd)})`));
  }

  #leftByFunctions(): string[] {
    const open = this.#taken.filter(({ closed }) => !closed);
    const names = open.map(({ fd }) => `fd ${fd} that a reply's function took (${linkOf(fd)})`);
    for (const fd of open) fd.close();
    return names;
  }

  /** The program is gone: its connection is closed, and nobody listens any more. */
  #quit(): void {
    this.#socket.receive('refuse');
    this.#socket.drop();
  }

  #track(fd: OwnedFd | null): OwnedFd | null {
    if (fd !== null) this.#taken.push(fd);
    return fd;
  }

  #note(entry: ReceivedCommand): void {
    this.#received.push(entry);
    for (const wake of this.#waiting) wake();
  }

  async #untilNoted(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let wake: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      this.#waiting.add(wake);
      timer = setTimeout(resolve, timeoutMs);
    });
    this.#waiting.delete(wake);
    clearTimeout(timer);
  }

  #nothingCame(command: string, count: number, timeoutMs: number): FdsetError {
    const came = this.#received.map((one) => one.command || one.problem || 'no request').join(', ') || 'nothing';
    const wanted = count === 1 ? command : `${command} (${count} times)`;
    return new FdsetError('ERR_FDSET_TEST_TIMEOUT', `no ${wanted} came within ${timeoutMs} ms, but ${came}`);
  }
}

function linkOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
