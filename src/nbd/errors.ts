// Which NBD error does a failure become, and which errors do our own server and client throw?
//
// FdsetError
// ├─ NbdReplyError        the server answered a request or an option with an error
// └─ NbdProtocolError     the server said something that the protocol does not allow, or left in the middle
import { constants } from 'node:os';

import { FdsetError } from '../errors.ts';
import {
  NBD_EINVAL,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_EOVERFLOW,
  NBD_EPERM,
  NBD_ESHUTDOWN,
} from './constants.ts';

const { EPERM, EROFS, EIO, ENOMEM, EDQUOT, EFBIG, ENOSPC, EOVERFLOW, ENOTSUP, EOPNOTSUPP } = constants.errno;
/** Of Linux; node:os does not list it. */
const ESHUTDOWN = 108;

const nbdErrorOf = new Map<number, number>([
  [EPERM, NBD_EPERM],
  [EROFS, NBD_EPERM],
  [EIO, NBD_EIO],
  [ENOMEM, NBD_ENOMEM],
  [EDQUOT, NBD_ENOSPC],
  [EFBIG, NBD_ENOSPC],
  [ENOSPC, NBD_ENOSPC],
  [EOVERFLOW, NBD_EOVERFLOW],
  [ENOTSUP, NBD_ENOTSUP],
  [EOPNOTSUPP, NBD_ENOTSUP],
  [ESHUTDOWN, NBD_ESHUTDOWN],
]);

const names = new Map<number, string>([
  [NBD_EPERM, 'EPERM'],
  [NBD_EIO, 'EIO'],
  [NBD_ENOMEM, 'ENOMEM'],
  [NBD_EINVAL, 'EINVAL'],
  [NBD_ENOSPC, 'ENOSPC'],
  [NBD_EOVERFLOW, 'EOVERFLOW'],
  [NBD_ENOTSUP, 'ENOTSUP'],
  [NBD_ESHUTDOWN, 'ESHUTDOWN'],
]);

/**
 * The NBD error of a failed backend call. A system error that the protocol has no number for becomes EINVAL, as in
 * QEMU; a failure that is no system error at all is a bug, and says EIO.
 *
 * Source: proto.md, "Error values"; QEMU's nbd/server.c for EDQUOT, EFBIG and EROFS.
 */
export function nbdErrorFor(error: unknown): number {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return NBD_EIO;
  // Ours are positive, Node's negative.
  return nbdErrorOf.get(Math.abs(error.errno)) ?? NBD_EINVAL;
}

/** The name of an NBD error number, `EINVAL` for 22; numbers outside the protocol read as `errno 7`. */
export function nbdErrorName(value: number): string {
  return names.get(value) ?? `errno ${value}`;
}

/** The server answered with an error. */
export class NbdReplyError extends FdsetError {
  /** The error number on the wire: an NBD_E… value for requests, an NBD_REP_ERR_… value for options. */
  readonly value: number;
  /** The text that the server sent along, empty without one. */
  readonly serverText: string;

  constructor(what: string, value: number, serverText = '') {
    const name = value >= 0x80000000 ? `option error ${value - 0x80000000}` : nbdErrorName(value);
    super('ERR_FDSET_NBD_REPLY', `${what}: ${name}${serverText === '' ? '' : `: ${serverText}`}`);
    this.value = value;
    this.serverText = serverText;
  }
}

/** The peer broke the protocol, or the connection ended where the protocol does not let it end. */
export class NbdProtocolError extends FdsetError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('ERR_FDSET_NBD_PROTOCOL', message, options);
  }
}
