// How is a request put together? Members that are right or wrong in one point, in several styles, with fds or without.
import * as fc from 'fast-check';
import { aNumber, aString, aValue } from './arbitrary-json.ts';
import { FILES } from './files.ts';
import type { Bytes, Part, RequestItem } from './script.ts';

export type Weighted<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>];
export const weighted = <T>(...choices: Weighted<T>[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));

// -- arguments

/** A member: key and value, whose text may have refs in it. */
export type Member = readonly [key: Bytes, value: Part | readonly Part[]];

export const badValue = fc.oneof(
  fc.constantFrom('null', 'true', '"1"', '1.0', '1e0', '[]', '{}', '[1]', '{"a":1}', '9223372036854775808', '""'),
  fc.constantFrom('-1', '-9223372036854775808', '18446744073709551615', '2', '"a"', '-9223372036854775809'),
  aNumber,
  aValue,
);
export const wrongMember: fc.Arbitrary<Member> = fc.tuple(
  fc.constantFrom('bogus', 'fdset_id', 'fdname', 'fd', 'fdset-id', 'opaque', 'enable', '', 'Fd', 'id', 'x-y'),
  badValue,
);

/** A number that may be an open fd of one server and not of the other is no fair question. */
const fair = (members: readonly Member[]): readonly Member[] =>
  members.map(([key, value]) => [
    key,
    key === 'fd' && typeof value === 'string' && FD_NUMBER.test(value) ? '2' : value,
  ]);
const FD_NUMBER = /^\d{1,5}$/;
export const UNFAIR_TEXT = /fd["']\s*:\s*\d{1,5}(?!\d)/;

/** The members that are right, and in one case of six something wrong with them. */
export function members(right: fc.Arbitrary<readonly Member[]>): fc.Arbitrary<readonly Member[]> {
  return weighted(
    [30, right],
    [2, fc.tuple(right, wrongMember).map(([some, wrong]) => uniqueMembers([...some, wrong]))],
    [
      2,
      fc
        .tuple(right, fc.nat(3), badValue)
        .map(([some, at, bad]) => some.map((m, i) => (i === at % some.length ? [m[0], bad] : m))),
    ],
    [1, fc.tuple(right, fc.nat(3)).map(([some, at]) => some.filter((_, index) => index !== at))],
    [1, right.map((some) => [...some].reverse())],
    [1, fc.uniqueArray(wrongMember, { maxLength: 3, selector: ([key]) => key })],
  ).map(fair);
}

function uniqueMembers(some: readonly Member[]): Member[] {
  return [...new Map(some.map((member) => [member[0], member])).values()];
}

// -- requests

interface Style {
  readonly colon: string;
  readonly comma: string;
  readonly quote: string;
  readonly argumentsFirst: boolean;
}

export const compact: Style = { colon: ':', comma: ',', quote: '"', argumentsFirst: false };
const aStyle: fc.Arbitrary<Style> = weighted(
  [6, fc.constant(compact)],
  [
    1,
    fc.record({
      colon: fc.constantFrom(':', ': ', ' :\n'),
      comma: fc.constantFrom(',', ', ', '\r\n,\t'),
      quote: fc.constantFrom('"', "'"),
      argumentsFirst: fc.boolean(),
    }),
  ],
);

/** `{"key": value, …}` without the braces. */
export function join(some: readonly Member[], { colon, comma, quote }: Style): Part[] {
  return some.flatMap(([key, value], index) => [
    `${index > 0 ? comma : ''}${quote}${key}${quote}${colon}`,
    ...(isPart(value) ? [value] : value),
  ]);
}

function isPart(value: Part | readonly Part[]): value is Part {
  return typeof value === 'string' || 'ref' in value;
}

function body(execute: Bytes, key: string, args: readonly Member[] | Bytes | undefined, style: Style): Part[] {
  const { comma, quote, colon, argumentsFirst } = style;
  const command = `${quote}${key}${quote}${colon}${quote}${execute}${quote}`;
  if (args === undefined) return [command];
  const name = `${quote}arguments${quote}${colon}`;
  const value: Part[] = typeof args === 'string' ? [args] : ['{', ...join(args, style), '}'];
  return mergeTexts(argumentsFirst ? [name, ...value, comma, command] : [command, comma, name, ...value]);
}

/** Neighbouring texts as one. */
export function mergeTexts(parts: readonly Part[]): Part[] {
  const merged: Part[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (typeof part === 'string' && typeof last === 'string') merged[merged.length - 1] = last + part;
    else merged.push(part);
  }
  return merged;
}

export const anId = fc.option(weighted([6, fc.nat(99).map(String)], [1, aString], [2, aValue]), {
  nil: undefined,
  freq: 3,
});
/** Half of them regular files that block nodes can be made of, opened in the usual modes. */
const aFile = weighted([1, fc.nat(2)], [1, fc.nat(FILES - 1)]);
export const someFds = (none: number, one: number, several: number): fc.Arbitrary<readonly number[]> =>
  weighted<readonly number[]>(
    [5 * none, fc.constant([])],
    [5 * one, aFile.map((file) => [file])],
    [4 * several, fc.array(aFile, { minLength: 2, maxLength: 5 })],
    // QEMU receives sixteen.
    [several, fc.array(aFile, { minLength: 15, maxLength: 20 })],
  );
export const fdsAt = weighted([4, fc.constant(0)], [1, fc.nat(999)], [1, fc.constant(999)]);
export const wantsFd = someFds(3, 20, 3);
export const needsNone = someFds(40, 1, 1);

interface Shape {
  readonly args: fc.Arbitrary<readonly Member[] | Bytes | undefined>;
  readonly fds: fc.Arbitrary<readonly number[]>;
}

/** A command as it is meant, or nearly. */
export function request(name: string, execute: fc.Arbitrary<Bytes>, { args, fds }: Shape): fc.Arbitrary<RequestItem> {
  const oddArguments = weighted<readonly Member[] | Bytes | undefined>(
    [60, args],
    [1, fc.constantFrom('[]', 'null', '1', '"x"', 'true')],
    [1, aValue.filter((value) => !UNFAIR_TEXT.test(value))],
  );
  return fc
    .record({
      execute,
      args: oddArguments,
      style: aStyle,
      key: weighted([60, fc.constant('execute')], [1, fc.constant('exec-oob')]),
      which: weighted([3, fc.nat(2)], [1, fc.nat(9)]),
      id: anId,
      fds,
      fdsAt,
    })
    .map(({ execute, args, style, key, which, id, fds, fdsAt }) => ({
      kind: 'request' as const,
      name,
      body: body(execute, key, args, style),
      which,
      id,
      oob: key === 'exec-oob',
      stores: name === 'getfd' ? storedName(args) : undefined,
      fds,
      fdsAt,
    }));
}

function storedName(args: readonly Member[] | Bytes | undefined): Bytes | undefined {
  if (args === undefined || typeof args === 'string') return undefined;
  const value = args.find(([key]) => key === 'fdname')?.[1];
  return typeof value === 'string' && /^["']/.test(value) ? value : undefined;
}

/** A name, sometimes with an escaped letter. */
export const named = (name: string): fc.Arbitrary<Bytes> =>
  weighted(
    [30, fc.constant(name)],
    [1, fc.constant(`\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`)],
    [1, fc.constant(name.replace('-', '_').toUpperCase())],
  );

/** The arguments of a command that has none. */
export const noArguments = weighted<readonly Member[] | undefined>(
  [6, fc.constant(undefined)],
  [1, fc.constant([])],
  [1, members(fc.constant([]))],
);
