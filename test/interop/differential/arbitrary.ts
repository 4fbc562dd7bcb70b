// Which scripts are there? The generator: mostly fd commands that succeed, mixed with everything that a client may get wrong.
import * as fc from 'fast-check';
import { nodeStory } from './arbitrary-block.ts';
import { aRequest } from './arbitrary-commands.ts';
import { junk } from './arbitrary-json.ts';
import { fdsAt, needsNone, someFds, UNFAIR_TEXT, weighted } from './arbitrary-request.ts';
import { type Burst, type Bytes, type Item, type Leave, MONITORS, type Script } from './script.ts';

/** A request as text, for others to damage: without refs. */
const requestText = aRequest
  .filter(
    ({ name, body: [text, ref], oob }) =>
      oob !== true &&
      text !== undefined &&
      ref === undefined &&
      !['query-qmp-schema', 'blockdev-reopen'].includes(name),
  )
  .map(({ body: [text] }) => `{${text as Bytes}}`);
const junkItem: fc.Arbitrary<Item> = fc
  .record({ bytes: junk(requestText).filter((bytes) => !UNFAIR_TEXT.test(bytes)), fds: needsNone, fdsAt })
  .map((item) => ({ kind: 'junk', ...item }));

// -- scripts

const items = weighted<readonly Item[]>(
  [3, fc.array(aRequest, { minLength: 1, maxLength: 1 })],
  [5, fc.array(aRequest, { minLength: 1, maxLength: 12, size: 'max' })],
  [1, nodeStory],
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
  next: fc.option(aBurst, { nil: undefined, freq: 2 }),
});

/** A script. */
export const aScript: fc.Arbitrary<Script> = fc.array(weighted<Burst | Leave>([7, aBurst], [1, aLeave]), {
  minLength: 1,
  maxLength: 14,
  size: 'max',
});
