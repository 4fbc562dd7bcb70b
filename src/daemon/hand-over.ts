// What does the starter do for a daemon that cannot open or bind anything? It carries out the part of each option that
// needs a path or an address, and hands the daemon the fd: `path=/run/qmp.sock` becomes `fd=4`. The daemon sees options
// of the same kind, only with numbers in them.
import type { FdMapping } from '../addon/index.ts';
import { listInheritedFds } from '../fds/index.ts';
import { addFdOptions, chardevOptions, parseQemuOpts, visitOption } from '../qapi/index.ts';
import { NbdServerOptions } from '../qapi/schema/block-export.ts';
import type { SocketAddress } from '../qapi/schema/sockets.ts';
import type { Listener } from '../socket/index.ts';
import type { InheritedFds } from './inherited-fds.ts';
import { listenOn } from './listen-address.ts';
import type { CommandLine, Option } from './options.ts';
import { withOptionText } from './option-text.ts';

/** What is handed to the daemon: its arguments, and the fds that they name. */
export interface HandOver {
  readonly args: readonly string[];
  /** Borrowed from the listeners here and from the inherited fds. */
  readonly fds: readonly FdMapping[];
  /** Closes the sockets here and removes their files. */
  readonly close: () => void;
}

/**
 * Carries out what the daemon cannot do itself.
 *
 * @throws FdsetError with the option in front; nothing stays open
 */
export async function handOver(commandLine: CommandLine, inherited: InheritedFds): Promise<HandOver> {
  const carrier = new Carrier(inherited);
  try {
    const args: string[] = [];
    for (const option of commandLine.inOrder) {
      args.push(`--${option.name}`, await withOptionText(option, () => carrier.rewrite(option)));
    }
    return { args, fds: carrier.fds, close: () => carrier.close() };
  } catch (error) {
    carrier.close();
    throw error;
  }
}

class Carrier {
  readonly fds: FdMapping[] = [];
  readonly #inherited: InheritedFds;
  readonly #listeners: Listener[] = [];

  constructor(inherited: InheritedFds) {
    this.#inherited = inherited;
  }

  /** The option's value as the daemon gets it. */
  rewrite({ name, value }: Option): Promise<string> | string {
    switch (name) {
      case 'add-fd':
        return this.#passAddFd(value);
      case 'chardev':
        return this.#passChardev(value);
      case 'nbd-server':
        return this.#passNbdServer(value);
      default:
        return value;
    }
  }

  #passAddFd(value: string): string {
    const { fd } = parseQemuOpts(addFdOptions, value).values;
    // What is missing or not a possible number, the daemon says.
    if (fd !== undefined && fd > 2 && fd <= 0x7fffffff) this.#passInherited(Number(fd));
    return value;
  }

  async #passChardev(text: string): Promise<string> {
    const { id, values } = parseQemuOpts(chardevOptions, text);
    const { backend, path, abstract, fd, server, wait } = values;
    if (backend !== 'socket' || id === undefined || server !== true) return text;
    if (fd !== undefined && path === undefined) {
      this.#passInherited(Number(fd));
      return text;
    }
    if (path === undefined) return text;
    const number = await this.#bind({ type: 'unix', path, ...(abstract !== undefined && { abstract }) });
    return `socket,id=${id},fd=${number},server=on,wait=${wait === false ? 'off' : 'on'}`;
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
    const childFd = this.#freeNumber();
    this.fds.push({ fd: listener.fd, childFd });
    return childFd;
  }

  /** The lowest, since the limit of open files may be low; what a later option can name, an inherited fd, stays free. */
  #freeNumber(): number {
    const named = listInheritedFds();
    let number = 3;
    while (named.includes(number) || this.fds.some(({ childFd }) => childFd === number)) number++;
    return number;
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
  }
}
