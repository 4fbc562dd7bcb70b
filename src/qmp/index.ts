// QMP's messages: what both ends of the wire share. Pure: parsed values in, messages out, and the other way round.
//
// Read request.ts first (what a server accepts), then response.ts (what it sends) and message.ts (what a client makes
// of that). Which commands exist is for others to say. Source: QEMU's QMP protocol specification, docs/interop/qmp-spec.
export { encodeRequest, parseRequest, QmpRequestError, type OutgoingRequest, type QmpRequest } from './request.ts';
export { encodeError, encodeEvent, encodeReturn, greeting, timestampNow, type QmpTimestamp } from './response.ts';
export { parseResponse, parseVersion, type QmpMessage } from './message.ts';
export { ERROR_CLASSES, isErrorClass } from './error-class.ts';
export type { QmpVersion } from './version.ts';
