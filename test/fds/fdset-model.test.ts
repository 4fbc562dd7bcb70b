// The table against a model too simple to be wrong: every answer of a random run has to be the same.
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { after, test } from 'node:test';

import * as fc from 'fast-check';

import { O, closeFd, dupFd } from '../../src/addon/index.ts';
import { type FdsetDup, FdsetTable, type Int64, OwnedFd } from '../../src/fds/index.ts';
import { IdIndex } from '../../src/fds/id-index.ts';
import { checkOpenFds } from '../open-fds.ts';

const template = openSync('/dev/null', O.O_RDONLY);
after(() => closeFd(template));
checkOpenFds();

/** Sets by id; the fds of each, and how many dups. */
type Model = Map<bigint, { fds: number[]; dups: number }>;

interface World {
  readonly table: FdsetTable;
  readonly model: Model;
  readonly dups: { dup: FdsetDup; id: bigint }[];
}

type Step =
  | { do: 'add'; id: bigint | undefined }
  | { do: 'remove'; id: bigint; one: boolean; which: number }
  | { do: 'open'; id: bigint }
  | { do: 'close'; which: number };

const canonical = (id: bigint): Int64 => (id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : id);

// Few ids, so that they meet; two of them beyond the exact numbers.
const anId = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 9n) },
  { weight: 1, arbitrary: fc.constantFrom(2n ** 53n, 2n ** 63n - 1n) },
);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('add' as const), id: fc.option(anId, { nil: undefined }) }),
  fc.record({ do: fc.constant('remove' as const), id: anId, one: fc.boolean(), which: fc.nat(3) }),
  fc.record({ do: fc.constant('open' as const), id: anId }),
  fc.record({ do: fc.constant('close' as const), which: fc.nat(9) }),
);

function lowestFree(model: Model): bigint {
  let id = 0n;
  while (model.has(id)) id++;
  return id;
}

function dropIfEmpty(model: Model, id: bigint): void {
  const set = model.get(id);
  if (set?.fds.length === 0 && set.dups === 0) model.delete(id);
}

function add({ table, model }: World, wanted: bigint | undefined): void {
  const id = wanted ?? lowestFree(model);
  const fdsetId = wanted === undefined ? undefined : canonical(wanted);
  const added = table.add(new OwnedFd(dupFd(template)), { fdsetId });
  assert.equal(added.fdsetId, canonical(id));
  const set = model.get(id) ?? { fds: [], dups: 0 };
  set.fds.push(added.fd);
  model.set(id, set);
}

function remove({ table, model }: World, id: bigint, one: boolean, which: number): void {
  const set = model.get(id);
  const fd = one ? (set?.fds[which] ?? 12345) : undefined;
  if (set === undefined || (fd !== undefined && !set.fds.includes(fd))) {
    assert.throws(() => table.remove(canonical(id), fd), { code: 'ERR_FDSET_NOT_FOUND' });
    return;
  }
  void table.remove(canonical(id), fd);
  set.fds = fd === undefined ? [] : set.fds.filter((other) => other !== fd);
  dropIfEmpty(model, id);
}

function open({ table, model, dups }: World, id: bigint): void {
  const set = model.get(id);
  // Only numbers name a file; the larger ids cannot be opened.
  const openIt = () => table.openDup(Number(id), O.O_RDONLY, 'test', `/dev/fdset/${id}`);
  if (set === undefined || id > 9n) {
    assert.throws(openIt, { code: 'ERR_FDSET_NOT_FOUND' });
  } else if (set.fds.length === 0) {
    assert.throws(openIt, { code: 'ERR_FDSET_NO_MATCHING_FD' });
  } else {
    dups.push({ dup: openIt(), id });
    set.dups++;
  }
}

function closeDup({ model, dups }: World, which: number): void {
  const [closed] = dups.splice(which, 1);
  if (closed === undefined) return;
  closed.dup.close();
  const set = model.get(closed.id);
  assert.ok(set);
  set.dups--;
  dropIfEmpty(model, closed.id);
}

function take(world: World, step: Step): void {
  if (step.do === 'add') add(world, step.id);
  else if (step.do === 'remove') remove(world, step.id, step.one, step.which);
  else if (step.do === 'open') open(world, step.id);
  else closeDup(world, step.which);
}

function check({ table, model }: World): void {
  const expected = [...model]
    .sort(([left], [right]) => (left < right ? 1 : -1))
    .map(([id, { fds }]) => ({ 'fdset-id': canonical(id), fds: fds.map((fd) => ({ fd })) }));
  assert.deepEqual(table.query(), expected);
}

test('the table answers as the model does', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(aStep, fc.boolean()), { maxLength: 60 }), (steps) => {
      const world: World = { table: new FdsetTable(), model: new Map(), dups: [] };
      try {
        for (const [step, isChecked] of steps) {
          take(world, step);
          // Not after every step: several changes have to go into one listing too.
          if (isChecked) check(world);
        }
        check(world);
      } finally {
        world.table[Symbol.dispose]();
        for (const { dup } of world.dups) dup.close();
      }
    }),
    { numRuns: 300 },
  );
});

test('the index of ids finds, orders and fills gaps as a sorted list does, across its chunks', () => {
  // Runs of ids, added or deleted at a stride: so that chunks split, empty and have gaps.
  const aRun = fc.record({
    add: fc.boolean(),
    from: fc.nat(1500),
    count: fc.nat(700),
    stride: fc.constantFrom(1, 1, 2, -1, 7),
  });
  fc.assert(
    fc.property(fc.array(aRun, { maxLength: 12 }), (runs) => {
      const index = new IdIndex<{ readonly id: number }>();
      const used = new Set<number>();
      for (const { add: isAdding, from, count, stride } of runs) {
        for (let step = 0; step < count; step++) {
          const id = (from + step * stride + 10_000) % 2500;
          if (!isAdding) {
            index.delete(id);
            used.delete(id);
          } else if (!used.has(id)) {
            index.add({ id });
            used.add(id);
          }
          assert.equal(index.get(id)?.id, isAdding ? id : undefined);
        }
        let lowest = 0;
        while (used.has(lowest)) lowest++;
        assert.equal(index.lowestFree(), lowest);
        assert.equal(index.get(lowest), undefined);
        assert.deepEqual(
          index.descending().map(({ id }) => id),
          [...used].sort((left, right) => right - left),
        );
      }
    }),
    { numRuns: 100 },
  );
});
