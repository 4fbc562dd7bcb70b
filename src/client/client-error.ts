// What goes wrong on this side of the wire? One place that makes the errors, so that their codes are known.
//
//  code                         | what the caller can do
//  -----------------------------|----------------------------------------------------------------------------
//  ERR_FDSET_QMP_ERROR          | the server has refused a command: see QmpError
//  ERR_FDSET_QMP_TIMEOUT        | try later; for a greeting: the message says who holds the monitor
//  ERR_FDSET_QMP_CLOSED         | connect anew; `cause` says why the connection is gone
//  ERR_FDSET_QMP_PROTOCOL       | this is no QMP server, or a broken one
//  ERR_FDSET_QMP_NO_FDS         | files cannot go this way: use a Unix socket
//  ERR_FDSET_QMP_UNSUPPORTED    | the server does not offer what was asked for
//  ERR_FDSET_QMP_EVENTS_LOST    | events came faster than they were taken: ask for the state again
//  ERR_FDSET_QMP_FILE           | the file could not be opened; `cause` is the error of the system call
//  ERR_FDSET_QMP_JOB            | the job has failed: see JobError
import { FdsetError } from '../errors.ts';

export function closedError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_CLOSED', message, { cause });
}

export function timeoutError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_TIMEOUT', message);
}

export function protocolError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_PROTOCOL', message, { cause });
}

export function noFdsError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_NO_FDS', message);
}

export function unsupportedError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_UNSUPPORTED', message);
}

export function eventsLostError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_QMP_EVENTS_LOST', message);
}
