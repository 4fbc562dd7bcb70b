// A schema becomes these very types.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FdsetError } from '../../src/errors.ts';
import { generateTypes, ServerSchema } from '../../src/introspection/index.ts';
import { sampleSchema } from './sample-schema.ts';

const expected = `// made here
/** An integer: a number where that is exact, else a bigint. */
export type Int = number | bigint;
/** For \`QmpClient<Small>\`. */
export interface Small {
  commands: {
    'block-add': { arguments: BlockAddArguments };
    /** May be run out of band. */
    'query-things': { returns: Thing[] };
    /** Unstable. @deprecated */
    'x-try': { arguments: XTryArguments; returns: unknown };
  };
  events: {
    THING_GONE: ThingGoneData;
  };
}
/** block-add */
export type BlockAddArguments = {
  'node-name'?: string;
  /** @deprecated */
  'read-only'?: boolean;
} & (
  | ({ driver: 'file' } & BlockAddFile)
  | ({ driver: 'over' } & BlockAddOver)
  | { driver: 'null' }
);
/** query-things */
export interface Thing {
  size: Int;
  ratio: number;
  state: ThingState;
}
/** x-try */
export interface XTryArguments {
  value?: unknown;
}
/** THING_GONE */
export interface ThingGoneData {
  id: string;
}
/** block-add → driver */
export type Driver = 'file' | 'over' | 'null';
/** block-add → driver=file */
export interface BlockAddFile {
  filename: string;
  offset?: Int;
  locks?: string[];
}
/** block-add → driver=over */
export interface BlockAddOver {
  below: Below;
  parts?: BlockAddFile[];
}
/** query-things → state. \`it's down\` is deprecated. */
export type ThingState = 'up' | 'it\\'s down';
/** block-add → driver=over → below */
export type Below = BlockAddArguments | string | null;
`;

test('every kind of type has its TypeScript', () => {
  const text = generateTypes(ServerSchema.read(sampleSchema), { name: 'Small', header: ['made here'] });
  assert.equal(text, expected);
});

test('objects may be maps, as they come from the wire', () => {
  const maps = sampleSchema.map((entry) => new Map<string, unknown>(Object.entries(entry)));
  const options = { name: 'Small', header: ['made here'] };
  assert.equal(generateTypes(ServerSchema.read(maps), options), expected);
});

test('enums of QEMU before 6.1 have values only', () => {
  const old = sampleSchema.map(({ ...entry }) =>
    entry['meta-type'] === 'enum' ? { ...entry, members: undefined } : entry,
  );
  assert.match(generateTypes(ServerSchema.read(old)), /export type Driver = 'file' \| 'over' \| 'null';/);
});

const broken: [string, unknown][] = [
  ['no list', {}],
  ['an entry that is no object', [1]],
  ['an entry without a name', [{ 'meta-type': 'object', members: [] }]],
  ['a type that nobody defines', [{ name: 'a', 'meta-type': 'command', 'arg-type': '7', 'ret-type': '7' }]],
  ['arguments that are no object', [{ name: 'a', 'meta-type': 'event', 'arg-type': 'str' }, sampleSchema[17]]],
];
for (const [what, answer] of broken) {
  test(`${what} is refused as a schema`, () => {
    assert.throws(
      () => ServerSchema.read(answer),
      (error) => error instanceof FdsetError && error.code === 'ERR_FDSET_SCHEMA',
    );
  });
}

test('what a newer server may add is left out', () => {
  const newer = [...sampleSchema, { name: '99', 'meta-type': 'marvel' }];
  assert.equal(ServerSchema.read(newer).commands.size, 3);
});
