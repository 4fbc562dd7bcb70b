// A schema as it was: members, values and variants of another version, and what contains itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  array,
  type CommandDefinition,
  command,
  enumeration,
  event,
  int,
  lazy,
  optional,
  QapiError,
  querySchema,
  RevisedSchema,
  str,
  struct,
  union,
  visitArguments,
} from '../../src/qapi/index.ts';
import { both, members, unmarked, without } from '../../src/qapi/revision.ts';

const Kind = enumeration('Kind', ['old', 'new'], { features: { old: ['deprecated'] } });
const Thing = union('Thing', {
  base: { kind: Kind, name: str, added: optional(int) },
  discriminator: 'kind',
  variants: { old: struct('Old', { a: int }), new: struct('New', { b: int }) },
});
const make = command('make', { data: Thing });
const Base = struct('Base', { late: optional(int), early: str });
const order = command('order', { data: struct('Order', { own: str }, { base: Base }) });
interface TreeHolder {
  readonly type: ReturnType<typeof struct>;
}
const Tree: ReturnType<typeof struct> = struct('Tree', {
  children: array(lazy<TreeHolder>(() => Tree)),
  x: int,
  y: int,
});
const plant = command('plant', { data: Tree, returns: array(Kind) });

const then = new RevisedSchema({
  absent: new Set(['grow', 'GROWN']),
  edits: {
    Kind: both(without('new'), unmarked('old')),
    Thing: without('new'),
    'q_obj_Thing-base': without('added'),
    Order: members('own', 'early'),
    Tree: without('y'),
  },
});

function refusal(definition: CommandDefinition, given: Record<string, string | number>): string {
  try {
    visitArguments(definition, new Map(Object.entries(given)));
    return '';
  } catch (error) {
    assert.ok(error instanceof QapiError);
    return error.message;
  }
}

test('what came later is refused as it was then', () => {
  const old = then.command(make)!;
  assert.equal(refusal(make, { kind: 'new', name: 'n', added: 1, b: 2 }), '');
  assert.equal(refusal(old, { kind: 'old', name: 'n', a: 2 }), '');
  assert.equal(refusal(old, { kind: 'new', name: 'n', b: 2 }), "Parameter 'kind' does not accept value 'new'");
  assert.equal(refusal(old, { kind: 'old', name: 'n', a: 2, added: 1 }), "Parameter 'added' is unexpected");
});

test('members come in the order of then', () => {
  assert.equal(refusal(order, {}), "Parameter 'early' is missing");
  assert.equal(refusal(then.command(order)!, {}), "Parameter 'own' is missing");
  assert.equal(refusal(then.command(order)!, { own: 'o', early: 'e', late: 1 }), "Parameter 'late' is unexpected");
});

test('a type that contains itself is revised at every depth, and described once', () => {
  const infos = querySchema([then.command(plant)!], [], { realNames: true });
  assert.deepEqual(
    infos.find(({ name }) => name === 'Tree'),
    {
      name: 'Tree',
      'meta-type': 'object',
      members: [
        { name: 'children', type: '[Tree]' },
        { name: 'x', type: 'int' },
      ],
      features: undefined,
    },
  );
  assert.deepEqual(
    infos.map(({ name }) => name),
    ['plant', 'Tree', 'Kind', '[Kind]', '[Tree]', 'int'],
  );
});

test('what there was not is not there', () => {
  assert.equal(then.command(command('grow')), undefined);
  assert.equal(then.event(event('GROWN', { data: { kind: Kind } })), undefined);
  assert.deepEqual(then.event(event('MADE', { data: { kind: Kind } }))?.name, 'MADE');
});
