// Types are tested where they are compiled: a wrong one fails the build, not this file's one test.
import assert from 'node:assert/strict';
import test from 'node:test';
import type {
  addFd,
  blockdevAdd,
  BlockdevOptions,
  BlockdevRef,
  blockExportDeleted,
  CommandArguments,
  CommandDefinition,
  CommandResult,
  EventData,
  FdsetInfo,
  ImageInfo,
  Infer,
  Int64,
  jobStatusChange,
  nbdServerStart,
  OnOffAuto,
  qomGet,
  queryFdsets,
  quit,
  removeFd,
  SocketAddress,
  uint32,
  uint64,
} from '../../src/qapi/index.ts';
import type { JsonValue } from '../../src/json/index.ts';

/** Whether two types accept each other's values; any, which would, is none of them. */
type Same<A, B> = 0 extends 1 & A ? false : [A] extends [B] ? ([B] extends [A] ? true : false) : false;

/** Compiles only where every element is true. */
type Holds<T extends readonly true[]> = T;

type Driver<D> = Extract<BlockdevOptions, { driver: D }>;

// Types follow from the schema.
export type Inferred = Holds<
  [
    Same<Infer<typeof uint32>, number>,
    Same<Infer<typeof uint64>, Int64>,
    Same<Int64, number | bigint>,
    Same<OnOffAuto, 'auto' | 'on' | 'off'>,
    Same<
      CommandArguments<typeof addFd>,
      { readonly 'fdset-id'?: Int64 | undefined; readonly opaque?: string | undefined }
    >,
    Same<CommandArguments<typeof removeFd>, { readonly 'fdset-id': Int64; readonly fd?: Int64 | undefined }>,
    Same<CommandArguments<typeof quit>, Readonly<Record<string, never>>>,
    Same<CommandResult<typeof addFd>, { readonly 'fdset-id': Int64; readonly fd: Int64 }>,
    Same<CommandResult<typeof quit>, void>,
    Same<CommandResult<typeof qomGet>, JsonValue>,
    Same<CommandResult<typeof queryFdsets>, readonly FdsetInfo[]>,
    Same<FdsetInfo['fds'][number]['fd'], Int64>,
    Same<EventData<typeof blockExportDeleted>, { readonly id: string }>,
    Same<Extract<EventData<typeof jobStatusChange>['status'], 'null' | 'created'>, 'null' | 'created'>,
  ]
>;

// A union is told apart by its discriminator, and types that contain themselves have no end.
export type Unions = Holds<
  [
    Same<CommandArguments<typeof blockdevAdd>, BlockdevOptions>,
    Same<Driver<'raw'>['file'], BlockdevRef>,
    Same<BlockdevRef, string | BlockdevOptions>,
    Same<Driver<'null-co'>['size'], Int64 | undefined>,
    Same<Driver<'quorum'>['children'], readonly BlockdevRef[]>,
    Same<Driver<'qcow2'>['backing'], BlockdevRef | null | undefined>,
    Same<Extract<SocketAddress, { type: 'inet' }>['port'], string>,
    Same<CommandArguments<typeof nbdServerStart>['max-connections'], number | undefined>,
    Same<Extract<CommandArguments<typeof nbdServerStart>['addr'], { type: 'unix' }>['data']['path'], string>,
    Same<NonNullable<ImageInfo['backing-image']>['virtual-size'], Int64>,
    Same<NonNullable<NonNullable<ImageInfo['backing-image']>['backing-image']>['format'], string>,
  ]
>;

test('a member that is missing, unknown or wrong does not compile', () => {
  const good: BlockdevOptions = { driver: 'raw', 'node-name': 'r', file: { driver: 'file', filename: '/dev/fdset/1' } };
  // @ts-expect-error the child is missing
  const missing: BlockdevOptions = { driver: 'raw', 'node-name': 'r' };
  // @ts-expect-error raw has no file name
  const unknown: BlockdevOptions = { driver: 'raw', file: 'f', filename: '/dev/fdset/1' };
  // @ts-expect-error no such driver
  const wrong: BlockdevOptions = { driver: 'rawest' };
  // @ts-expect-error deep inside a child
  const deep: BlockdevOptions = { driver: 'raw', file: { driver: 'raw', file: { driver: 'null-co', size: '1' } } };
  assert.equal([good, missing, unknown, wrong, deep].length, 5);
});

test('code that handles any command sees unknown members', () => {
  const read = (given: CommandArguments<CommandDefinition>) => given['fdset-id'];
  assert.equal(read({ 'fdset-id': 1 }), 1);
});
