// May this request be carried out? All that can be said without asking the disk, in QEMU's order of checks.
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_DISC,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
  NBD_EINVAL,
  NBD_MAX_BUFFER_SIZE,
} from './constants.ts';
import type { Request } from './request-parser.ts';

/** What of the negotiated session decides about requests. */
export interface RequestRules {
  /** The size of the export in bytes. */
  readonly size: number;
  readonly writable: boolean;
  readonly structuredReplies: boolean;
  readonly blockStatus: boolean;
  /** Requests must be multiples of this many bytes. */
  readonly alignment: number;
}

/** Why a request is refused: the error number and, for structured replies, a text. */
export interface RequestFault {
  readonly error: number;
  readonly text: string;
}

// One object each: a client that sends nothing but nonsense costs no memory.
// QEMU answers EINVAL to all of them, also where proto.md suggests ENOSPC (a write beyond the end) or EPERM.
const unknownRequest: RequestFault = { error: NBD_EINVAL, text: 'unknown request type' };
const tooLong: RequestFault = { error: NBD_EINVAL, text: `length is larger than ${NBD_MAX_BUFFER_SIZE} bytes` };
const readOnly: RequestFault = { error: NBD_EINVAL, text: 'export is read-only' };
const beyondEnd: RequestFault = { error: NBD_EINVAL, text: 'operation past the end of the export' };
const unknownFlags: RequestFault = { error: NBD_EINVAL, text: 'unsupported flags' };
const unaligned: RequestFault = { error: NBD_EINVAL, text: 'request violates the negotiated block size' };
const noContext: RequestFault = { error: NBD_EINVAL, text: 'no metadata context was negotiated' };
const emptyStatus: RequestFault = { error: NBD_EINVAL, text: 'block status of nothing' };

/** Why the request is refused, or undefined: the disk decides. NBD_CMD_DISC, which has no reply, is not for here. */
export function checkRequest(request: Request, rules: RequestRules): RequestFault | undefined {
  const { type, offset, length } = request;
  if (type > NBD_CMD_BLOCK_STATUS || type === NBD_CMD_DISC) return unknownRequest;
  if (length > NBD_MAX_BUFFER_SIZE && (type === NBD_CMD_READ || type === NBD_CMD_WRITE || type === NBD_CMD_CACHE)) {
    return tooLong;
  }
  if (!rules.writable && (type === NBD_CMD_WRITE || type === NBD_CMD_TRIM || type === NBD_CMD_WRITE_ZEROES)) {
    return readOnly;
  }
  if (length > rules.size - offset) return beyondEnd; // less than nothing is left behind the end
  if ((request.flags & ~allowedFlags(type, rules)) !== 0) return unknownFlags;
  if (rules.alignment > 1 && type !== NBD_CMD_FLUSH && !isAligned(request, rules.alignment)) return unaligned;
  if (type === NBD_CMD_BLOCK_STATUS) {
    if (!rules.blockStatus) return noContext;
    if (length === 0) return emptyStatus;
  }
  return undefined;
}

/** FUA is allowed with every request, and without meaning where nothing is written. Source: proto.md, QEMU. */
function allowedFlags(type: number, rules: RequestRules): number {
  switch (type) {
    case NBD_CMD_READ:
      return NBD_CMD_FLAG_FUA | (rules.structuredReplies ? NBD_CMD_FLAG_DF : 0);
    case NBD_CMD_WRITE_ZEROES:
      return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
    case NBD_CMD_BLOCK_STATUS:
      return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
    default:
      return NBD_CMD_FLAG_FUA;
  }
}

function isAligned({ offset, length }: Request, alignment: number): boolean {
  return offset % alignment === 0 && length % alignment === 0;
}
