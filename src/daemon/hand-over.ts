// What does the starter do for a daemon that cannot open or bind anything? It carries out the part of each option that
// needs a path or an address, and hands the daemon the fd: `path=/run/qmp.sock` becomes `fd=4`. The daemon sees options
// of the same kind, only with numbers in them.
import { isatty } from 'node:tty';

import type { FdMapping } from '../addon/index.ts';
import {
  checkLogfile,
  checkSocketOptions,
  flattenAddress,
  parseChardevOption,
  reconnectDelay,
} from '../chardev/index.ts';
import { FdsetError } from '../errors.ts';
import { listInheritedFds, type OwnedFd } from '../fds/index.ts';
import { addFdOptions, parseQemuOpts, visitOption } from '../qapi/index.ts';
import { NbdServerOptions } from '../qapi/schema/block-export.ts';
import type { SocketAddress } from '../qapi/schema/sockets.ts';
import { connectTo, type Listener, listenOn } from '../socket/index.ts';
import type { InheritedFds } from './inherited-fds.ts';
import { type Answer, answerTo } from './option-answer.ts';
import { type CommandLine, lastValue, type Option } from './options.ts';
import { withOptionText } from './option-text.ts';
import { deprecation, type ProgramMessages, type Warn } from './program-messages.ts';
import { applyTrace } from './trace.ts';

/** What is handed to the daemon: its arguments, and the fds that they name. */
export interface HandOver {
  readonly args: readonly string[];
  /** Borrowed from the listeners here and from the inherited fds. */
  readonly fds: readonly FdMapping[];
  /** What becomes its standard input, where a device uses that; borrowed. */
  readonly stdin: number | undefined;
  /** Closes what only the daemon is to have, once it has it: connections. */
  readonly handedOver: () => void;
  /** What to print instead of starting, where an option asks for help. */
  readonly answer: Answer | undefined;
  /** Closes the sockets here and removes their files. */
  readonly close: () => void;
}

/**
 * Carries out what the daemon cannot do itself.
 *
 * @param signal ends the wait for a connection
 * @throws FdsetError with the option in front, or the signal's reason; nothing stays open
 */
export async function handOver(
  commandLine: CommandLine,
  inherited: InheritedFds,
  messages: ProgramMessages,
  signal: AbortSignal,
): Promise<HandOver> {
  const carrier = new Carrier(commandLine, inherited, signal);
  const args: string[] = [];
  const handed = (answer: Answer | undefined): HandOver => ({
    args,
    answer,
    fds: carrier.fds,
    stdin: carrier.stdin,
    handedOver: () => carrier.closeConnections(),
    close: () => carrier.close(),
  });
  try {
    for (const option of commandLine.inOrder) {
      const answer = await withOptionText(option, () => answerTo(option));
      if (answer !== undefined) return handed(answer);
      args.push(...(await withOptionText(option, () => carrier.rewrite(option, messages.of(option)))));
    }
    return handed(undefined);
  } catch (error) {
    carrier.close();
    throw error;
  }
}

class Carrier {
  readonly fds: FdMapping[] = [];
  stdin: number | undefined;
  readonly #inherited: InheritedFds;
  readonly #signal: AbortSignal;
  readonly #daemonized: boolean;
  readonly #listeners: Listener[] = [];
  readonly #connections: OwnedFd[] = [];

  constructor(commandLine: CommandLine, inherited: InheritedFds, signal: AbortSignal) {
    this.#daemonized = lastValue(commandLine, 'daemonize') !== undefined;
    this.#inherited = inherited;
    this.#signal = signal;
  }

  /** The option as the daemon gets it; nothing, where all of it is done here. */
  async rewrite({ name, value }: Option, warn: Warn): Promise<string[]> {
    switch (name) {
      case 'add-fd':
        return ['--add-fd', this.#passAddFd(value)];
      case 'chardev':
        return ['--chardev', await this.#passChardev(value, warn)];
      case 'nbd-server':
        return ['--nbd-server', await this.#passNbdServer(value)];
      case 'trace':
        applyTrace(value, warn);
        return [];
      case 'unexpected':
        throw new FdsetError('ERR_FDSET_OPTION', 'Unexpected argument');
      default:
        return [`--${name}`, value];
    }
  }

  #passAddFd(value: string): string {
    const { fd } = parseQemuOpts(addFdOptions, value).values;
    // What is missing or not a possible number, the daemon says.
    if (fd !== undefined && fd > 2 && fd <= 0x7fffffff) this.#passInherited(Number(fd));
    return value;
  }

  async #passChardev(text: string, warn: Warn): Promise<string> {
    const option = parseChardevOption(text, deprecation(warn));
    if (option?.backend.type === 'stdio') this.#passStdin();
    if (option?.backend.type !== 'socket') return text;
    const { id, backend } = option;
    const { addr, server, wait } = backend.data;
    if (addr.type === 'fd') {
      if (/^\d{1,9}$/.test(addr.data.str) && Number(addr.data.str) > 2) this.#passInherited(Number(addr.data.str));
      return text;
    }
    checkLogfile(backend);
    checkSocketOptions(backend.data);
    if (reconnectDelay(backend.data) > 0) {
      const message = 'a daemon in the sandbox cannot connect again: let it listen, or leave reconnect-ms out';
      throw new FdsetError('ERR_FDSET_OPTION', message);
    }
    const address = flattenAddress(addr);
    const number = server === true ? await this.#bind(address) : await this.#connect(address);
    return `socket,id=${id},fd=${number}${server === true ? `,server=on,wait=${wait === true ? 'on' : 'off'}` : ''}`;
  }

  /** A connection that the daemon could not make again. */
  async #connect(address: SocketAddress): Promise<number> {
    const socket = await connectTo(address, (str) => this.#inherited.take(Number(str)), this.#signal);
    this.#connections.push(socket);
    return this.#hand(socket.fd);
  }

  #passStdin(): void {
    if (this.#daemonized) throw new FdsetError('ERR_FDSET_OPTION', 'cannot use stdio with -daemonize');
    if (isatty(0)) {
      const message = 'a daemon in the sandbox gets no terminal: give it a pipe, a socket or --sandbox off';
      throw new FdsetError('ERR_FDSET_OPTION', message);
    }
    this.stdin = 0;
  }

  async #passNbdServer(text: string): Promise<string> {
    const options = visitOption(NbdServerOptions, text);
    const { addr } = options;
    if (addr.type === 'fd') {
      if (/^\d+$/.test(addr.str)) this.#passInherited(Number(addr.str));
      return text;
    }
    const number = await this.#bind(addr);
    return JSON.stringify({ ...options, addr: { type: 'fd', str: `${number}` } });
  }

  /** Keeps the number that the user knows it by. */
  #passInherited(fd: number): void {
    if (this.fds.some(({ childFd }) => childFd === fd)) return;
    this.fds.push({ fd: this.#inherited.get(fd).fd, childFd: fd });
  }

  async #bind(address: SocketAddress): Promise<number> {
    const listener = await listenOn(address, (str) => this.#inherited.take(Number(str)));
    this.#listeners.push(listener);
    return this.#hand(listener.fd);
  }

  #hand(fd: number): number {
    const childFd = this.#freeNumber();
    this.fds.push({ fd, childFd });
    return childFd;
  }

  /** The lowest, since the limit of open files may be low; what a later option can name, an inherited fd, stays free. */
  #freeNumber(): number {
    const named = listInheritedFds();
    let number = 3;
    while (named.includes(number) || this.fds.some(({ childFd }) => childFd === number)) number++;
    return number;
  }

  closeConnections(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.closeConnections();
  }
}
