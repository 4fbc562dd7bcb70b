// What does `--chardev BACKEND,id=ID,…` ask for? The older syntax becomes the same value that chardev-add is given, so
// that one piece of code makes the device. As QEMU's qemu_chr_parse_… functions, in their words.
import { FdsetError } from '../errors.ts';
import {
  type ChardevBackend,
  chardevOptions,
  type OptionWarning,
  parseQemuOpts,
  type QemuOpts,
  type SocketAddress,
} from '../qapi/index.ts';
import type { SocketAddressLegacy } from '../qapi/index.ts';
import { checkBackend } from './backends.ts';
import { CHARDEV_RULES_10_0, type ChardevRules } from './rules.ts';

type Values = QemuOpts<(typeof chardevOptions)['options']>['values'];

/** A device as an option asks for it. */
export interface ChardevOption {
  readonly id: string;
  readonly backend: ChardevBackend;
}

/**
 * Reads the value of an option.
 *
 * @param warn is told of what is deprecated
 * @returns undefined where it asks for help
 * @throws FdsetError or QapiError with QEMU's text
 */
export function parseChardevOption(
  text: string,
  warn?: (warning: OptionWarning) => void,
  { unknownKeys }: ChardevRules = CHARDEV_RULES_10_0,
): ChardevOption | undefined {
  const { id, values, help } = parseQemuOpts(withoutKeys(unknownKeys), text, warn);
  if (help) return undefined;
  if (id === undefined) throw chardevError('chardev: no id specified');
  if (values.backend === undefined) throw chardevError(`chardev: "${id}" missing backend`);
  checkBackend(values.backend);
  if (values.mux === true) throw chardevError('mux=on is not there yet: leave it out');
  return { id, backend: readBackend(values.backend, values) };
}

function withoutKeys(keys: readonly string[]): typeof chardevOptions {
  const known = Object.entries(chardevOptions.options).filter(([key]) => !keys.includes(key));
  return { ...chardevOptions, options: Object.fromEntries(known) as (typeof chardevOptions)['options'] };
}

function readBackend(type: string, values: Values): ChardevBackend {
  const { logfile, logappend } = values;
  const common = { logfile, logappend };
  switch (type) {
    case 'socket':
      return { type, data: { ...common, ...readSocket(values) } };
    case 'stdio':
      return { type, data: { ...common, signal: values.signal } };
    case 'ringbuf':
    case 'memory':
      return { type, data: { ...common, size: values.size } };
    default:
      return { type: 'null', data: common };
  }
}

type SocketData = Extract<ChardevBackend, { type: 'socket' }>['data'];

function readSocket(values: Values): SocketData {
  const server = values.server === true;
  return {
    addr: legacyAddress(readAddress(values)),
    server,
    wait: values.wait ?? (server ? true : undefined),
    reconnect: values.reconnect,
    'reconnect-ms': values['reconnect-ms'],
    telnet: values.telnet,
    tn3270: values.tn3270,
    websocket: values.websocket,
    'tls-creds': values['tls-creds'],
    'tls-authz': values['tls-authz'],
  };
}

function readAddress({ path, fd, host, port, abstract, tight, to, ipv4, ipv6 }: Values): SocketAddress {
  if ([path, fd, host].filter((each) => each !== undefined).length > 1) {
    throw chardevError("None or one of 'path', 'fd' or 'host' option required.");
  }
  if (path !== undefined) return { type: 'unix', path, abstract: abstract ?? false, tight: tight ?? true };
  if (host === undefined && port === undefined) return { type: 'fd', str: fd ?? '' };
  if (port === undefined) throw chardevError('chardev: socket: no port given');
  const last = to === undefined ? undefined : Number(BigInt.asUintN(16, BigInt(to)));
  return { type: 'inet', host: host ?? '', port, to: last, ipv4, ipv6 };
}

function legacyAddress({ type, ...data }: SocketAddress): SocketAddressLegacy {
  return { type, data } as SocketAddressLegacy;
}

function chardevError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_CHARDEV', message);
}
