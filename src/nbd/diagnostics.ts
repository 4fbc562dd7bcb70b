// What can a program listen to? The library picks no logger: it publishes here (node:diagnostics_channel).
import { channel } from 'node:diagnostics_channel';

/** The disk failed a request: `{export, type, offset, length, error}`. The client got an NBD error. */
export const requestFailed = channel('fdset:nbd:request-failed');

/** A connection of the server is over: `{export?, reason}`. Both ends of the story: a plain disconnect comes here too. */
export const disconnected = channel('fdset:nbd:disconnected');
