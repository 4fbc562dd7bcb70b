// Addresses of sockets, flat and in the older form with `data`. QEMU's qapi/sockets.json.
import { bool, enumeration, optional, str, struct, uint16, union } from '../builders.ts';
import type { Infer } from '../types.ts';

/** The port is a string: a number or a service name. */
export const InetSocketAddressBase = struct('InetSocketAddressBase', { host: str, port: str });

export const InetSocketAddress = struct(
  'InetSocketAddress',
  {
    numeric: optional(bool),
    to: optional(uint16),
    ipv4: optional(bool),
    ipv6: optional(bool),
    'keep-alive': optional(bool),
    mptcp: optional(bool),
  },
  { base: InetSocketAddressBase },
);
export type InetSocketAddress = Infer<typeof InetSocketAddress>;

export const UnixSocketAddress = struct('UnixSocketAddress', {
  path: str,
  abstract: optional(bool),
  tight: optional(bool),
});
export type UnixSocketAddress = Infer<typeof UnixSocketAddress>;

export const VsockSocketAddress = struct('VsockSocketAddress', { cid: str, port: str });

/** `str`: the name of a getfd fd, or the number of an fd of the process. */
export const FdSocketAddress = struct('FdSocketAddress', { str });

export const SocketAddressType = enumeration('SocketAddressType', ['inet', 'unix', 'vsock', 'fd']);

/** The form of nbd-server-start: the members of the variant are in `data`. */
export const SocketAddressLegacy = union('SocketAddressLegacy', {
  base: { type: SocketAddressType },
  discriminator: 'type',
  variants: {
    inet: struct('InetSocketAddressWrapper', { data: InetSocketAddress }),
    unix: struct('UnixSocketAddressWrapper', { data: UnixSocketAddress }),
    vsock: struct('VsockSocketAddressWrapper', { data: VsockSocketAddress }),
    fd: struct('FdSocketAddressWrapper', { data: FdSocketAddress }),
  },
});
export type SocketAddressLegacy = Infer<typeof SocketAddressLegacy>;

/** The form of the option --nbd-server and of block drivers: all members beside `type`. */
export const SocketAddress = union('SocketAddress', {
  base: { type: SocketAddressType },
  discriminator: 'type',
  variants: { inet: InetSocketAddress, unix: UnixSocketAddress, vsock: VsockSocketAddress, fd: FdSocketAddress },
});
export type SocketAddress = Infer<typeof SocketAddress>;
