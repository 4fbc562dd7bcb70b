// What does a value that its schema refuses say? QEMU's texts, each written once.
import { FdsetError } from '../errors.ts';

/**
 * A value that its QAPI schema refuses, or option text that cannot be read; the message is QEMU's.
 *
 * Codes: `ERR_FDSET_PARAMETER_MISSING`, `_UNEXPECTED`, `_TYPE`, `_VALUE`, and `ERR_FDSET_OPTION_SYNTAX`.
 */
export class QapiError extends FdsetError {
  /** The parameter as the message names it: a path, or the last component only. */
  readonly parameter: string;
  /** A second line that QEMU prints on a terminal; never on the wire. */
  readonly hint: string | undefined;

  constructor(code: string, parameter: string, message: string, hint?: string) {
    super(code, message);
    this.parameter = parameter;
    this.hint = hint;
  }
}

export function missing(path: string): QapiError {
  return new QapiError('ERR_FDSET_PARAMETER_MISSING', path, `Parameter '${path}' is missing`);
}

export function unexpected(path: string): QapiError {
  return new QapiError('ERR_FDSET_PARAMETER_UNEXPECTED', path, `Parameter '${path}' is unexpected`);
}

/** A command line gave `path.x=…` where `path` is a single value. */
export function unexpectedBelow(path: string): QapiError {
  return new QapiError('ERR_FDSET_PARAMETER_UNEXPECTED', path, `Parameters '${path}.*' are unexpected`);
}

export function wrongType(path: string, expected: string): QapiError {
  const message = `Invalid parameter type for '${path}', expected: ${expected}`;
  return new QapiError('ERR_FDSET_PARAMETER_TYPE', path, message);
}

/** Also for commands whose checks go beyond the schema: `expects(name, 'a non-negative value')`. */
export function expects(name: string, what: string, hint?: string): QapiError {
  return new QapiError('ERR_FDSET_PARAMETER_VALUE', name, `Parameter '${name}' expects ${what}`, hint);
}

export function refusedValue(name: string, value: string): QapiError {
  return new QapiError('ERR_FDSET_PARAMETER_VALUE', name, `Parameter '${name}' does not accept value '${value}'`);
}

export function optionSyntax(parameter: string, message: string): QapiError {
  return new QapiError('ERR_FDSET_OPTION_SYNTAX', parameter, message);
}
