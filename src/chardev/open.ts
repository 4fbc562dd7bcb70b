// How does a backend, as chardev-add describes it, become a character device?
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import type { ChardevBackend, SocketAddress, SocketAddressLegacy } from '../qapi/index.ts';
import { connectTo, type Listener, listenOn, type TakeFd } from '../socket/index.ts';
import { checkBackend } from './backends.ts';
import type { ListedChardev } from './chardev.ts';
import { describeAddress, describeListener, listeningName } from './filename.ts';
import { NullChardev } from './null.ts';
import { CHARDEV_RULES_10_0, type ChardevRules } from './rules.ts';
import { DEFAULT_RINGBUF_SIZE, RingbufChardev } from './ringbuf.ts';
import { SocketClientChardev } from './socket-client.ts';
import { SocketChardev } from './socket.ts';
import { StdioChardev } from './stdio.ts';

/** What a device needs of the program that it is made for. */
export interface ChardevContext {
  /** Whether whoever has connected to a listening device may stay; the fd is lent. */
  readonly accepts: (connection: OwnedFd) => boolean;
  /** Where a sentence for the user goes: QEMU prints these to standard error. */
  readonly report: (message: string) => void;
  /** Whether the program is in the background: its standard input and output are nobody's. */
  readonly daemonized?: boolean;
  /** What chardev-add says of an error. Default: its message. */
  readonly explain?: (error: FdsetError) => string;
  /** Those of a version of QEMU. Default: of 10.0. */
  readonly rules?: ChardevRules;
}

/** Of a timer, in milliseconds. */
const LONGEST_DELAY = 2 ** 31 - 1;

type SocketOptions = Extract<ChardevBackend, { type: 'socket' }>['data'];

/** A device that was made. */
export interface OpenedChardev {
  readonly device: ListedChardev;
  /** Fulfilled when a listening device that is to wait has its first client; undefined where nothing is waited for. */
  readonly connected?: Promise<void>;
}

/**
 * Makes a device.
 *
 * @param takeFd gives away the fd that an address names
 * @throws FdsetError with QEMU's text
 */
export async function openChardev(
  id: string,
  backend: ChardevBackend,
  takeFd: TakeFd,
  context: ChardevContext,
): Promise<OpenedChardev> {
  checkBackend(backend.type);
  checkLogfile(backend);
  switch (backend.type) {
    case 'socket':
      return openSocket(id, backend.data, takeFd, context);
    case 'stdio':
      if (context.daemonized === true) throw refused('cannot use stdio with -daemonize');
      return { device: new StdioChardev(id, { signal: backend.data.signal ?? true }) };
    case 'ringbuf':
    case 'memory':
      return { device: new RingbufChardev(id, backend.type, Number(backend.data.size ?? DEFAULT_RINGBUF_SIZE)) };
    default:
      return { device: new NullChardev(id) };
  }
}

async function openSocket(
  id: string,
  options: SocketOptions,
  takeFd: TakeFd,
  context: ChardevContext,
): Promise<OpenedChardev> {
  checkSocketOptions(options);
  const address = flattenAddress(options.addr);
  if (options.server ?? true) return listenSocket(id, address, options.wait ?? false, takeFd, context);
  const device = await SocketClientChardev.open(id, {
    connect: (signal) => connectTo(address, takeFd, signal),
    described: describeAddress(address),
    reconnectMs: reconnectDelay(options),
    report: context.report,
    showsPeerPath: (context.rules ?? CHARDEV_RULES_10_0).showsPeerPath,
  });
  return { device };
}

async function listenSocket(
  id: string,
  address: SocketAddress,
  wait: boolean,
  takeFd: TakeFd,
  { accepts, report }: ChardevContext,
): Promise<OpenedChardev> {
  const listener = await listenOn(address, takeFd);
  const described = describeServer(address, listener);
  const device = new SocketChardev(id, { listener }, { accepts, described });
  if (!wait) return { device };
  report(`info: QEMU waiting for connection on: ${listeningName(described)}`);
  return { device, connected: device.untilConnected() };
}

/** A path as it was given; anything else as it was bound. */
function describeServer(address: SocketAddress, listener: Listener): string {
  if (address.type === 'unix' && address.path !== '') return describeAddress(address);
  return describeListener(listener.address);
}

/** @throws FdsetError it asks for a copy of what goes through it */
export function checkLogfile({ data }: ChardevBackend): void {
  if ('logfile' in data && data.logfile !== undefined) throw notThere('logfile');
}

/** Refusals in QEMU's order and words, then those of what fdset has not. */
export function checkSocketOptions(options: SocketOptions): void {
  const { server = true, wait, reconnect } = options;
  const reconnectMs = options['reconnect-ms'];
  if (reconnect !== undefined && reconnectMs !== undefined) {
    throw refused("'reconnect' and 'reconnect-ms' are mutually exclusive");
  }
  if (server && Number(reconnect ?? 0) > 0) {
    throw refused("'reconnect' option is incompatible with socket in server listen mode");
  }
  if (!server && wait !== undefined) {
    throw refused("'wait' option is incompatible with socket in client connect mode");
  }
  if (!server && options.websocket === true) throw refused('Websocket client is not implemented');
  const credentials = options['tls-creds'];
  if (options['tls-authz'] !== undefined && credentials === undefined) {
    throw refused("'tls_authz' option requires 'tls_creds' option");
  }
  if (credentials !== undefined) throw refused(`No TLS credentials with id '${credentials}'`);
  for (const name of ['telnet', 'tn3270', 'websocket'] as const) if (options[name] === true) throw notThere(name);
}

/** Milliseconds between two attempts to connect; 0 or less: there is one. */
export function reconnectDelay(options: SocketOptions): number {
  const delay = Number(options['reconnect-ms'] ?? 0) || Number(options.reconnect ?? 0) * 1000;
  return Math.min(delay, LONGEST_DELAY);
}

/** The form without `data`. */
export function flattenAddress(address: SocketAddressLegacy): SocketAddress {
  return { type: address.type, ...address.data } as SocketAddress;
}

function notThere(option: string): FdsetError {
  return refused(`'${option}' is not there yet: leave it out`);
}

function refused(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_CHARDEV', message);
}
