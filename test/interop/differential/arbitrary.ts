// Which scripts are there? The generator: mostly fd commands that succeed, mixed with everything that a client may get wrong.
import * as fc from 'fast-check';
import { aNumber, aString, aValue, junk } from './arbitrary-json.ts';
import { FILES } from './files.ts';
import {
  type Burst,
  type Bytes,
  type Item,
  type Leave,
  MONITORS,
  type Part,
  type RequestItem,
  type Script,
} from './script.ts';

/** The commands that a run has to have tried often enough. */
export const COMMANDS: readonly string[] = [
  ['add-fd', 'remove-fd', 'query-fdsets', 'getfd', 'closefd', 'query-version', 'qmp_capabilities'],
  ['query-commands', 'query-qmp-schema', 'query-jobs', 'unknown command', 'odd request'],
].flat();

type Weighted<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>];
const weighted = <T>(...choices: Weighted<T>[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));

// -- arguments

/** A member: key and value. The value may be a ref. */
type Member = readonly [key: Bytes, value: Part];

const badValue = fc.oneof(
  fc.constantFrom('null', 'true', '"1"', '1.0', '1e0', '[]', '{}', '[1]', '{"a":1}', '9223372036854775808', '""'),
  fc.constantFrom('-1', '-9223372036854775808', '18446744073709551615', '2', '"a"', '-9223372036854775809'),
  aNumber,
  aValue,
);
const wrongMember: fc.Arbitrary<Member> = fc.tuple(
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
const UNFAIR_TEXT = /fd["']\s*:\s*\d{1,5}(?!\d)/;

/** The members that are right, and in one case of six something wrong with them. */
function members(right: fc.Arbitrary<readonly Member[]>): fc.Arbitrary<readonly Member[]> {
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

const compact: Style = { colon: ':', comma: ',', quote: '"', argumentsFirst: false };
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
function join(some: readonly Member[], { colon, comma, quote }: Style): Part[] {
  return some.flatMap(([key, value], index) => [`${index > 0 ? comma : ''}${quote}${key}${quote}${colon}`, value]);
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
function mergeTexts(parts: readonly Part[]): Part[] {
  const merged: Part[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (typeof part === 'string' && typeof last === 'string') merged[merged.length - 1] = last + part;
    else merged.push(part);
  }
  return merged;
}

const anId = fc.option(weighted([6, fc.nat(99).map(String)], [1, aString], [2, aValue]), { nil: undefined, freq: 3 });
const aFile = fc.nat(FILES - 1);
const someFds = (none: number, one: number, several: number): fc.Arbitrary<readonly number[]> =>
  weighted<readonly number[]>(
    [none, fc.constant([])],
    [one, aFile.map((file) => [file])],
    [several, fc.array(aFile, { minLength: 2, maxLength: 5 })],
  );
const fdsAt = weighted([4, fc.constant(0)], [1, fc.nat(999)], [1, fc.constant(999)]);
const wantsFd = someFds(3, 20, 3);
const needsNone = someFds(40, 1, 1);

interface Shape {
  readonly args: fc.Arbitrary<readonly Member[] | Bytes | undefined>;
  readonly fds: fc.Arbitrary<readonly number[]>;
}

/** A command as it is meant, or nearly. */
function request(name: string, execute: fc.Arbitrary<Bytes>, { args, fds }: Shape): fc.Arbitrary<RequestItem> {
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
const named = (name: string): fc.Arbitrary<Bytes> =>
  weighted(
    [30, fc.constant(name)],
    [1, fc.constant(`\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`)],
    [1, fc.constant(name.replace('-', '_').toUpperCase())],
  );

const setId: fc.Arbitrary<Bytes> = weighted(
  [12, fc.nat(4).map(String)],
  [1, fc.constantFrom('-1', '5', '2147483648', '9007199254740993', '9223372036854775807', '-9223372036854775808')],
);
const opaque = fc.oneof(fc.constantFrom('"x"', '"rdwr:/dev/null"', '""'), aString);
const addFdArguments = fc
  .record({ 'fdset-id': setId, opaque }, { requiredKeys: [] })
  .map((record) => Object.entries(record) as Member[]);
const removeFdArguments: fc.Arbitrary<readonly Member[]> = weighted<readonly Member[]>(
  [4, fc.constant([['fdset-id', { ref: 'set' }]])],
  [
    6,
    fc.constant([
      ['fdset-id', { ref: 'set' }],
      ['fd', { ref: 'fd' }],
    ]),
  ],
  [2, setId.map((id): Member[] => [['fdset-id', id]])],
  [
    1,
    setId.map((id): Member[] => [
      ['fdset-id', id],
      ['fd', { ref: 'fd' }],
    ]),
  ],
  [
    1,
    fc.tuple(setId, fc.constantFrom('-1', '0', '2', '2147483648', '-9223372036854775808')).map(([id, fd]): Member[] => [
      ['fdset-id', id],
      ['fd', fd],
    ]),
  ],
);
const fdname = weighted(
  [8, fc.constantFrom('"a"', '"b"')],
  [
    2,
    fc.constantFrom('"9"', '"0x"', '""', '"-1"', '" 1"', '"a b"', '"A"', '"\\u0000"', '"a\\u0000"', '"/dev/fdset/1"'),
  ],
  [1, aString],
);
const fdnameArguments = fdname.map((name): Member[] => [['fdname', name]]);
const noArguments = weighted<readonly Member[] | undefined>(
  [6, fc.constant(undefined)],
  [1, fc.constant([])],
  [1, members(fc.constant([]))],
);
const enable = fc.constantFrom(
  '[]',
  '["oob"]',
  '["oob","oob"]',
  '["no-such"]',
  '"oob"',
  '{}',
  'null',
  '[1]',
  '[["oob"]]',
);
const enableArguments = weighted<readonly Member[] | undefined>(
  [2, fc.constant(undefined)],
  [3, enable.map((value): Member[] => [['enable', value]])],
  [1, members(fc.constant([]))],
);
const unknownName = fc.oneof(
  fc.constantFrom('no-such-command', '', 'query', 'add-fd ', 'Add-fd', 'query_version', 'x-', 'add-fd\\u0000', 'human'),
  aString.filter((text) => text.startsWith('"') && !text.includes("'")).map((text) => text.slice(1, -1)),
);
/** Commands whose results differ on purpose: asked in such a way that they fail. */
const onlyWrong = fc.array(wrongMember, { minLength: 1, maxLength: 1 });

const oddBody = fc
  .uniqueArray(
    fc.tuple(
      weighted(
        [4, fc.constantFrom('execute', 'exec-oob', 'arguments')],
        [1, fc.constantFrom('bogus', '', 'Execute', 'execute ', 'event', 'error', 'return', 'QMP')],
        [1, fc.stringMatching(/^[a-z-]{1,12}$/)],
      ),
      weighted([2, fc.constantFrom('"query-version"', '"query-fdsets"', '"no-such"', '{}', 'null')], [1, badValue]),
    ),
    { maxLength: 4, selector: ([key]) => key },
  )
  .map((some) => ({ body: mergeTexts(join(some, compact)), oob: some.some(([key]) => key === 'exec-oob') }));
const oddRequest: fc.Arbitrary<RequestItem> = fc
  .record({ odd: oddBody, id: anId, fds: needsNone, fdsAt })
  .map(({ odd, id, fds, fdsAt }) => ({ kind: 'request', name: 'odd request', ...odd, which: 0, id, fds, fdsAt }));

const aRequest: fc.Arbitrary<RequestItem> = weighted(
  [30, request('add-fd', named('add-fd'), { args: members(addFdArguments), fds: wantsFd })],
  [16, request('remove-fd', named('remove-fd'), { args: members(removeFdArguments), fds: needsNone })],
  [10, request('query-fdsets', named('query-fdsets'), { args: noArguments, fds: needsNone })],
  [14, request('getfd', named('getfd'), { args: members(fdnameArguments), fds: wantsFd })],
  [10, request('closefd', named('closefd'), { args: members(fdnameArguments), fds: needsNone })],
  [4, request('query-version', named('query-version'), { args: noArguments, fds: needsNone })],
  [2, request('qmp_capabilities', named('qmp_capabilities'), { args: enableArguments, fds: needsNone })],
  [2, request('query-commands', fc.constant('query-commands'), { args: onlyWrong, fds: needsNone })],
  [2, request('query-qmp-schema', fc.constant('query-qmp-schema'), { args: onlyWrong, fds: needsNone })],
  [3, request('query-jobs', named('query-jobs'), { args: noArguments, fds: needsNone })],
  [3, request('unknown command', unknownName, { args: noArguments, fds: needsNone })],
  [3, oddRequest],
);

/** A request as text, for others to damage: without refs. */
const requestText = aRequest
  .filter(
    ({ name, body: [text, ref], oob }) =>
      oob !== true && text !== undefined && ref === undefined && name !== 'query-qmp-schema',
  )
  .map(({ body: [text] }) => `{${text as Bytes}}`);
const junkItem: fc.Arbitrary<Item> = fc
  .record({ bytes: junk(requestText).filter((bytes) => !UNFAIR_TEXT.test(bytes)), fds: needsNone, fdsAt })
  .map((item) => ({ kind: 'junk', ...item }));

// -- scripts

const items = weighted<readonly Item[]>(
  [3, fc.array(aRequest, { minLength: 1, maxLength: 1 })],
  [6, fc.array(aRequest, { minLength: 1, maxLength: 12, size: 'max' })],
  [2, fc.array(weighted<Item>([4, aRequest], [3, junkItem]), { minLength: 1, maxLength: 8, size: 'max' })],
);
const aMonitor = weighted([6, fc.constant(0)], [3, fc.nat(MONITORS - 1)]);
const aBurst: fc.Arbitrary<Burst> = fc.record({
  do: fc.constant('send' as const),
  monitor: aMonitor,
  hello: weighted<Burst['hello']>(
    [16, fc.constant('negotiate')],
    [2, fc.constant('negotiate-oob')],
    [1, fc.constant('nothing')],
  ),
  items,
  cuts: weighted<readonly number[]>([2, fc.constant([])], [1, fc.array(fc.nat(999), { maxLength: 6 })]),
  slowly: weighted([9, fc.constant(false)], [1, fc.constant(true)]),
});
const lastBytes = weighted<Bytes>(
  [2, fc.constant('')],
  [
    2,
    fc
      .tuple(requestText, fc.nat(999))
      .map(([text, at]) => text.slice(0, 1 + Math.floor((at * (text.length - 1)) / 1000))),
  ],
  [1, fc.constantFrom(' ', '12', 'true', '[{', '"abc')],
);
const aLeave: fc.Arbitrary<Leave> = fc.record({
  do: fc.constant('leave' as const),
  monitor: aMonitor,
  lastBytes,
  fds: someFds(1, 1, 1),
  politely: fc.boolean(),
});

/** A script. */
export const aScript: fc.Arbitrary<Script> = fc.array(weighted<Burst | Leave>([7, aBurst], [1, aLeave]), {
  minLength: 1,
  maxLength: 14,
  size: 'max',
});
