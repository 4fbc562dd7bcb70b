// Block nodes over the files of fd sets: what is opened from a set, and lives on when the set's fds are removed.
import * as fc from 'fast-check';
import {
  compact,
  join,
  type Member,
  members,
  named,
  needsNone,
  noArguments,
  request,
  type Weighted,
  weighted,
} from './arbitrary-request.ts';
import { type Bytes, NODES, type Part, type RequestItem } from './script.ts';

export const BLOCK_COMMANDS = ['blockdev-add', 'blockdev-del', 'blockdev-reopen', 'query-named-block-nodes'];

const nodeName = weighted<Bytes>(
  [20, fc.constantFrom(...NODES.map((name) => `"${name}"`))],
  [1, fc.constantFrom('""', '"0"', '"#x"', '"a b"', '"-n0"', '"n0/"')],
);

const fileName = weighted<Member[1]>(
  // Few sets: so that a node is reopened with the file that it was made with.
  [8, fc.constant(['"/dev/fdset/', { ref: 'set' }, '"'])],
  [12, fc.constantFrom(0, 0, 0, 1, 2).map((set) => `"/dev/fdset/${set}"`)],
  [
    1,
    fc
      .constantFrom(
        '',
        '01',
        '+1',
        ' 1',
        '1 ',
        '-1',
        '0x1',
        '1.0',
        'x',
        '2147483647',
        '2147483648',
        '1/',
        '\\t0',
        '\\u0000',
      )
      .map((set) => `"/dev/fdset/${set}"`),
  ],
  [1, fc.constantFrom('/no/such/file', '/dev/fdset', '/dev//fdset/1', '', '/DEV/fdset/1').map((path) => `"${path}"`)],
);
const bool = fc.constantFrom('true', 'false');
const options = fc
  .record(
    {
      'read-only': bool,
      'auto-read-only': bool,
      cache: fc.constantFrom('{"direct":true}', '{"direct":false}', '{"no-flush":true}', '{}'),
      discard: fc.constantFrom('"unmap"', '"ignore"'),
      locking: fc.constantFrom('"off"', '"on"', '"auto"'),
    },
    { requiredKeys: [] },
  )
  .map((some): Member[] => Object.entries(some));
/** Those that choose the fd. */
const modes = fc
  .record({ 'read-only': bool, 'auto-read-only': fc.constant('true') }, { requiredKeys: [] })
  .map((some): Member[] => Object.entries(some));

/** `{"driver": "file", …}` without the braces. */
const fileNode: fc.Arbitrary<readonly Member[]> = fc
  .record({
    driver: weighted([12, fc.constant('"file"')], [1, fc.constant('"host_device"')]),
    nodeName,
    fileName,
    options: weighted([3, modes], [1, options]),
  })
  .map(({ driver, nodeName, fileName, options }) => [
    ['driver', driver],
    ['node-name', nodeName],
    ['filename', fileName],
    ...options,
  ]);
const nullNode = nodeName.map((name): Member[] => [
  ['driver', '"null-co"'],
  ['node-name', name],
]);
const node = weighted([12, fileNode], [1, nullNode]);

const nodeArgument = nodeName.map((name): Member[] => [['node-name', name]]);
/** An empty list makes QEMU abort; another child for `raw` is not built here (docs/decisions/block-layer.md). */
const reopened = fc
  .array(weighted<readonly Member[]>([12, fileNode], [1, members(fileNode)], [1, nullNode]), {
    minLength: 1,
    maxLength: 2,
  })
  .map((nodes): Member[] => {
    const objects = nodes.flatMap((some, index): Part[] => [index > 0 ? ',{' : '{', ...join(some, compact), '}']);
    return [['options', ['[', ...objects, ']']]];
  });

/** Commands that open files of fd sets, and those that tell and undo it. */
export const blockRequests: readonly Weighted<RequestItem>[] = [
  [10, request('blockdev-add', named('blockdev-add'), { args: members(node), fds: needsNone })],
  [4, request('blockdev-del', named('blockdev-del'), { args: members(nodeArgument), fds: needsNone })],
  [3, request('blockdev-reopen', fc.constant('blockdev-reopen'), { args: reopened, fds: needsNone })],
  [2, request('query-named-block-nodes', named('query-named-block-nodes'), { args: noArguments, fds: needsNone })],
];

/** A set with a file in both modes, a node over it, and what may happen to both: each step as it is meant. */
export const nodeStory: fc.Arbitrary<readonly RequestItem[]> = fc
  .record({
    set: fc.constantFrom('0', '1', '7'),
    name: fc.constantFrom(...NODES),
    files: fc.constantFrom([0, 1], [1, 0], [3, 2], [1], [0], [0, 0, 1]),
    first: modes,
    later: fc.array(
      fc.oneof(
        modes.map((mode) => ({ reopen: mode })),
        fc.constantFrom(...(['remove', 'delete', 'list', 'sets', 'again'] as const)).map((step) => ({ step })),
      ),
      { minLength: 1, maxLength: 5 },
    ),
  })
  .chain(({ set, name, files, first, later }) => {
    const meant = (command: string, args: readonly Member[], fds: readonly number[] = []): fc.Arbitrary<RequestItem> =>
      request(command, fc.constant(command), { args: fc.constant(args), fds: fc.constant(fds) });
    const object = (mode: readonly Member[]): readonly Member[] => [
      ['driver', '"file"'],
      ['node-name', `"${name}"`],
      ['filename', `"/dev/fdset/${set}"`],
      ...mode,
    ];
    const steps = {
      remove: meant('remove-fd', [['fdset-id', set]]),
      delete: meant('blockdev-del', [['node-name', `"${name}"`]]),
      list: meant('query-named-block-nodes', []),
      sets: meant('query-fdsets', []),
      again: meant('add-fd', [['fdset-id', set]], files.slice(0, 1)),
    };
    return fc.tuple(
      ...files.map((file) => meant('add-fd', [['fdset-id', set]], [file])),
      meant('blockdev-add', object(first)),
      ...later.map((what) =>
        'step' in what
          ? steps[what.step]
          : meant('blockdev-reopen', [['options', ['[{', ...join(object(what.reopen), compact), '}]']]]),
      ),
    );
  });
