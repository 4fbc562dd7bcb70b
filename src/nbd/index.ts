// The NBD server: exports of block devices for clients over Unix and TCP sockets, after the NBD protocol (proto.md) and
// QEMU's ways with it. And a client, for our own checks.
//
// Read server.ts first (who is served), then connection.ts (the life of one client), handshake.ts (how an export is
// chosen; pure) and transmission.ts (the data path), which takes requests apart with request-parser.ts, refuses with
// request-check.ts, carries out with perform.ts and answers with reply-queue.ts. constants.ts holds the wire's numbers.
export { NbdServer, type NbdListener, type NbdServerOptions } from './server.ts';
export { NbdExport, type CloseMode, type NbdExportOptions } from './export.ts';
export type { ExportBackend } from './backend.ts';
export type { Extent } from './extents.ts';
export { NbdClient, type NbdAddress, type NbdClientOptions } from './client.ts';
export type { BlockSizes } from './option-replies.ts';
export type { TransmissionLimits } from './transmission.ts';
export { disconnected, requestFailed } from './diagnostics.ts';
