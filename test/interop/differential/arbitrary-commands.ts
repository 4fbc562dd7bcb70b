// Which commands are there, with which arguments?
import * as fc from 'fast-check';
import { BLOCK_COMMANDS, blockRequests } from './arbitrary-block.ts';
import { aString } from './arbitrary-json.ts';
import {
  anId,
  badValue,
  compact,
  fdsAt,
  join,
  type Member,
  members,
  mergeTexts,
  named,
  needsNone,
  noArguments,
  request,
  wantsFd,
  weighted,
  wrongMember,
} from './arbitrary-request.ts';
import type { Bytes, RequestItem } from './script.ts';

/** The commands that a run has to have tried often enough. */
export const COMMANDS: readonly string[] = [
  ['add-fd', 'remove-fd', 'query-fdsets', 'getfd', 'closefd', 'query-version', 'qmp_capabilities'],
  ['query-commands', 'query-qmp-schema', 'query-jobs', 'unknown command', 'odd request'],
  BLOCK_COMMANDS,
].flat();

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
  [12, fc.constantFrom('"a"', '"a"', '"b"')],
  [
    2,
    fc.constantFrom('"9"', '"0x"', '""', '"-1"', '" 1"', '"a b"', '"A"', '"\\u0000"', '"a\\u0000"', '"/dev/fdset/1"'),
  ],
  [1, aString],
);
const fdnameArguments = fdname.map((name): Member[] => [['fdname', name]]);
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
  .map((some) => {
    const keys = new Set(some.map(([key]) => key));
    return { body: mergeTexts(join(some, compact)), oob: keys.has('exec-oob') && !keys.has('execute') };
  });
const oddRequest: fc.Arbitrary<RequestItem> = fc
  .record({ odd: oddBody, id: anId, fds: needsNone, fdsAt })
  .map(({ odd, id, fds, fdsAt }) => ({ kind: 'request', name: 'odd request', ...odd, which: 0, id, fds, fdsAt }));

/** A command, as it is meant or nearly. */
export const aRequest: fc.Arbitrary<RequestItem> = weighted(
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
  ...blockRequests,
);
