// How do commands, arguments, results and events get their types? From a schema type that the user names:
// `QmpClient<Qemu10>`. Types only; what runs is the same with and without.
import type { JsonOutput } from '../json/index.ts';
import type { QmpTimestamp } from '../qmp/index.ts';

/**
 * What a schema type looks like: `fdset types` writes them.
 *
 * ```ts
 * interface MySchema {
 *   commands: { 'add-fd': { arguments: { 'fdset-id'?: number | bigint; opaque?: string }; returns: { fd: number } } };
 *   events: { STOP: {}; JOB_STATUS_CHANGE: { id: string; status: string } };
 * }
 * ```
 *
 * A command without `arguments` takes none, one without `returns` returns nothing. Commands and events that it lacks may
 * still be used, as unknown.
 */
export interface QmpSchemaTypes {
  readonly commands: object;
  readonly events: object;
}

/** The schema of a client that was told of none: every command and every event is unknown. */
export interface AnySchema {
  readonly commands: object;
  readonly events: object;
}

/** A name of the schema, or any other. */
type NameIn<Known> = (keyof Known & string) | (string & Record<never, never>);

export type CommandName<S extends QmpSchemaTypes> = NameIn<S['commands']>;
export type EventName<S extends QmpSchemaTypes> = NameIn<S['events']>;

/** Arguments of a command that the schema type does not know. */
export type QmpArguments = { readonly [name: string]: JsonOutput | undefined } | ReadonlyMap<string, JsonOutput>;

/** What a command takes. */
export type CommandArguments<S extends QmpSchemaTypes, C> = C extends keyof S['commands']
  ? S['commands'][C] extends { readonly arguments: infer A }
    ? A
    : Record<string, never>
  : QmpArguments;

/** The same of a command that starts a job, for which a `job-id` can be made up. */
export type JobArgumentsOf<A> = A extends { readonly 'job-id': infer Id }
  ? string extends keyof A
    ? A
    : Omit<A, 'job-id'> & { readonly 'job-id'?: Id }
  : A;

/** What a command returns; unknown where the schema type does not say. */
export type CommandResult<S extends QmpSchemaTypes, C> = C extends keyof S['commands']
  ? S['commands'][C] extends { readonly returns: infer R }
    ? R
    : Record<string, never>
  : unknown;

/** The arguments and options of a call: the arguments may be left out where none is mandatory. */
export type ExecuteParameters<S extends QmpSchemaTypes, C, Options> = C extends keyof S['commands']
  ? NoneMandatory<CommandArguments<S, C>> extends true
    ? [args?: CommandArguments<S, C> | undefined, options?: Options]
    : [args: CommandArguments<S, C>, options?: Options]
  : [args?: QmpArguments | undefined, options?: Options];

type NoneMandatory<A> = string extends keyof A ? true : Partial<A> extends A ? true : false;

/** An event as it came. */
export interface QmpEvent<Name extends string = string, Data = Record<string, unknown>> {
  readonly name: Name;
  /** Empty where the event has none. */
  readonly data: Data;
  readonly timestamp: QmpTimestamp;
}

/** The event of a name, or the union of those of several names. */
export type EventOf<S extends QmpSchemaTypes, N extends string> = N extends keyof S['events'] & string
  ? QmpEvent<N, S['events'][N]>
  : QmpEvent<N>;

/** Any event: of the schema type where there is one. */
export type AnyEvent<S extends QmpSchemaTypes> = [keyof S['events'] & string] extends [never]
  ? QmpEvent
  : EventOf<S, keyof S['events'] & string>;
