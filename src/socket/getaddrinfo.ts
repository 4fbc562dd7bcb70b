// Which numeric addresses does a TCP address mean, and which port? As getaddrinfo(3) answers QEMU, with its texts.
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

import { FdsetError } from '../errors.ts';
import type { InetSocketAddress } from '../qapi/index.ts';

/** Texts of gai_strerror(3) by the names that Node has for them. */
const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'Name or service not known',
  EAI_AGAIN: 'Temporary failure in name resolution',
  EAI_FAIL: 'Non-recoverable failure in name resolution',
  EAI_MEMORY: 'Memory allocation failure',
};
const familyRefused = 'Address family for hostname not supported';
const unknownService = 'Servname not supported for ai_socktype';

/**
 * Resolves a host and a port.
 *
 * @param options `passive`: to listen there; an empty host means every address of this machine then
 * @returns numeric hosts in the order in which they are to be tried
 * @throws FdsetError `address resolution failed for HOST:PORT: REASON`, and QEMU's other texts
 */
export async function resolveInet(
  address: InetSocketAddress,
  { passive }: { readonly passive: boolean },
): Promise<{ readonly hosts: readonly string[]; readonly port: number }> {
  const family = wantedFamily(address);
  const port = portNumber(address);
  return { port, hosts: await resolveHost(address, family, passive) };
}

/** 0: any. Of an empty host one socket that serves both is asked for by asking for both. */
function wantedFamily({ host, ipv4, ipv6 }: InetSocketAddress): 0 | 4 | 6 {
  if (ipv4 === false && ipv6 === false) {
    throw new FdsetError('ERR_FDSET_ADDRESS', 'Cannot disable IPv4 and IPv6 at same time');
  }
  if (ipv4 === true && ipv6 === true) return host === '' ? 6 : 0;
  if (ipv6 === true || ipv4 === false) return 6;
  return ipv4 === true || ipv6 === false ? 4 : 0;
}

/** A number is taken modulo 2^16, as by glibc, but not below 0; nothing is 0. */
function portNumber(address: InetSocketAddress): number {
  const { port } = address;
  const number = /^\s*([+-]?)(\d+)$/.exec(port);
  const value = number === null ? undefined : intOf(BigInt(number[2]!), number[1] === '-');
  if (value !== undefined && value >= 0n) return Number(BigInt.asUintN(16, value));
  if (port === '') return 0;
  const service = servicePort(port);
  if (service === undefined) throw failed(address, unknownService);
  return service;
}

/** What strtoul(3) reads, as an int. */
function intOf(digits: bigint, negative: boolean): bigint {
  if (digits >= 2n ** 64n) return -1n;
  return BigInt.asIntN(32, negative ? -digits : digits);
}

/** Source: services(5). */
function servicePort(name: string): number | undefined {
  let text: string;
  try {
    text = readFileSync('/etc/services', 'utf8');
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    const [service, port, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (port?.endsWith('/tcp') === true && [service, ...aliases].includes(name)) return Number.parseInt(port, 10);
  }
  return undefined;
}

async function resolveHost(address: InetSocketAddress, family: 0 | 4 | 6, passive: boolean): Promise<string[]> {
  const { host, numeric } = address;
  if (host === '' && passive) return ['0.0.0.0', '::'].filter((each) => family === 0 || family === isIP(each));
  const literal = isIP(host);
  if (literal !== 0) {
    if (family !== 0 && family !== literal) throw failed(address, familyRefused);
    return [host];
  }
  if (host === '' || numeric === true) throw failed(address, reasons['ENOTFOUND']!);
  try {
    const found = await lookup(host, { all: true, family });
    return found.map((each) => each.address);
  } catch (error) {
    throw failed(address, reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? (error as Error).message, error);
  }
}

function failed({ host, port }: InetSocketAddress, reason: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_ADDRESS', `address resolution failed for ${host}:${port}: ${reason}`, { cause });
}
