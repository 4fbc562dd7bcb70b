import assert from 'node:assert/strict';
import test from 'node:test';
import { parseJson, writeJson } from '../../src/json/index.ts';
import * as qapi from '../../src/qapi/index.ts';
import {
  array,
  bool,
  command,
  enumeration,
  event,
  int,
  lazy,
  optional,
  querySchema,
  required,
  RevisedSchema,
  REVISION_7_2,
} from '../../src/qapi/index.ts';
import { size, str, struct, uint8, union, visit, alternate, SchemaInfo } from '../../src/qapi/index.ts';
import { Comparison } from './schema-comparison.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10, qemu7 } from '../qemu-versions.ts';
import { ask } from './qemu.ts';

checkOpenFds();

test('a command leads to every type it needs, under masked names', () => {
  const Kind = enumeration('Kind', ['one', 'two', 'three'], { features: { two: ['deprecated'] } });
  const Thing = union('Thing', {
    base: { kind: Kind, id: str },
    discriminator: 'kind',
    variants: { two: struct('Two', { parts: array(int), old: required(bool, { features: ['deprecated'] }) }) },
  });
  const add = command('thing-add', {
    data: { thing: Thing, small: optional(uint8, { features: ['unstable'] }), large: optional(size) },
    returns: alternate('NameOrThing', { name: str, thing: Thing }),
    allowOob: true,
  });
  const gone = event('THING_GONE', { features: ['unstable'] });
  const expected = [
    { name: 'thing-add', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '1', 'allow-oob': true },
    { name: 'THING_GONE', 'meta-type': 'event', 'arg-type': '2', features: ['unstable'] },
    {
      name: '0',
      'meta-type': 'object',
      members: [
        { name: 'thing', type: '3' },
        { name: 'small', type: 'int', features: ['unstable'], default: null },
        { name: 'large', type: 'int', default: null },
      ],
    },
    { name: '1', 'meta-type': 'alternate', members: [{ type: 'str' }, { type: '3' }] },
    { name: '2', 'meta-type': 'object', members: [] },
    {
      name: '3',
      'meta-type': 'object',
      members: [
        { name: 'kind', type: '4' },
        { name: 'id', type: 'str' },
      ],
      tag: 'kind',
      variants: [
        { case: 'two', type: '5' },
        { case: 'one', type: '2' },
        { case: 'three', type: '2' },
      ],
    },
    { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
    { name: 'str', 'meta-type': 'builtin', 'json-type': 'string' },
    {
      name: '4',
      'meta-type': 'enum',
      members: [{ name: 'one' }, { name: 'two', features: ['deprecated'] }, { name: 'three' }],
      values: ['one', 'two', 'three'],
    },
    {
      name: '5',
      'meta-type': 'object',
      members: [
        { name: 'parts', type: '[int]' },
        { name: 'old', type: 'bool', features: ['deprecated'] },
      ],
    },
    { name: '[int]', 'meta-type': 'array', 'element-type': 'int' },
    { name: 'bool', 'meta-type': 'builtin', 'json-type': 'boolean' },
  ];
  assert.equal(writeJson(querySchema([add], [gone])), writeJson(expected));
});

test('a type that contains itself is described once', () => {
  interface Holder {
    readonly type: ReturnType<typeof struct>;
  }
  const Tree: ReturnType<typeof struct> = struct('Tree', { children: array(lazy<Holder>(() => Tree)) });
  const infos = querySchema([command('plant', { data: { tree: Tree } })], [], { realNames: true });
  assert.deepEqual(
    infos.map((info) => info.name),
    ['plant', 'q_obj_plant-arg', 'q_empty', 'Tree', '[Tree]'],
  );
});

test('two types under one name are refused, as their users could not tell them apart', () => {
  const one = command('one', { data: { a: struct('Same', { x: int }) } });
  const two = command('two', { data: { a: struct('Same', { y: int }) } });
  assert.throws(() => querySchema([one, two], [], { realNames: true }), /two QAPI types are named Same/);
});

const definitions = Object.values(qapi).filter((value) => typeof value === 'object' && 'kind' in value);
const commands = definitions.filter((value) => value.kind === 'command') as qapi.CommandDefinition[];
const events = definitions.filter((value) => value.kind === 'event') as qapi.EventDefinition[];

test('the description of the whole schema fits its own schema, and names no type that it leaves out', () => {
  const infos = querySchema(commands, events).map((info) => visit(SchemaInfo, parseJson(writeJson(info))));
  const described = new Set(infos.map((info) => info.name));
  assert.equal(described.size, infos.length);
  assert.ok(infos.length > 200, `${infos.length} entries`);
  for (const name of infos.flatMap(namesIn)) assert.ok(described.has(name), name);
});

function namesIn(info: SchemaInfo): string[] {
  switch (info['meta-type']) {
    case 'command':
      return [info['arg-type'], info['ret-type']];
    case 'event':
      return [info['arg-type']];
    case 'object':
      return [...info.members, ...(info.variants ?? [])].map((entry) => entry.type);
    case 'alternate':
      return info.members.map((entry) => entry.type);
    case 'array':
      return [info['element-type']];
    default:
      return [];
  }
}

/** What 7.2 had and the revision does not give back. */
const goneSince72 =
  /^(?:ChardevBackendKind=console|Secret(?:Keyring)?Properties\.loaded|TlsCreds(?:Anon|Psk|X509)Properties\.loaded): only there$/;

/** The reference's storage daemon has no fd sets and cannot be yanked. */
const emulatorCommand = /^(?:add-fd|remove-fd|query-fdsets|getfd|closefd|yank|query-yank): only here$/;

/** What only this daemon has is named so. */
const ownCommand = /^(?:x-query-sandbox|x-query-fds|x-fdset-events|X_FDSET_\w+): only here$/;

/** Object types that no storage daemon has: only their names are here. */
const emulatorObject =
  /^Object(?:Type=|Options\[)(?:acpi|authz-pam|can|colo|cryptodev|dbus|filter|input|iommufd|memory|qtest|rng|sev|tls-cipher|x-)/;

const revised = new RevisedSchema(REVISION_7_2);
const isThere = <T>(definition: T | undefined): definition is T => definition !== undefined;

/** Our commands and events as each version has them. */
const versions = [
  { qemu: qemu10, ours: querySchema(commands, events, { realNames: true }), known: [] },
  {
    qemu: qemu7,
    ours: querySchema(
      commands.map((definition) => revised.command(definition)).filter(isThere),
      events.map((definition) => revised.event(definition)).filter(isThere),
      { realNames: true },
    ),
    known: [goneSince72],
  },
];

for (const program of ['qemu-storage-daemon', 'qemu-system-x86_64'] as const) {
  for (const { qemu, ours, known } of versions) {
    test(
      `${program} ${qemu.name} describes the commands and events as they are described here`,
      { skip: qemu.missing },
      async () => {
        const [response] = await ask(program, ['{"execute": "query-qmp-schema"}'], qemu.command(program));
        const there = visit(array(SchemaInfo), response!.get('return')!);
        const expected = [
          ...known,
          emulatorObject,
          ownCommand,
          ...(program === 'qemu-storage-daemon' ? [emulatorCommand] : []),
        ];
        const differences = new Comparison(ours, there).run();
        const news = differences.filter((line) => !expected.some((pattern) => pattern.test(line)));
        assert.deepEqual(news, []);
      },
    );
  }
}

test('the comparison sees what differs', () => {
  const here = command('do', {
    data: { a: int, b: optional(str), e: enumeration('E', ['x', 'y']) },
    returns: array(str),
  });
  const there = command('do', { data: { b: str, a: str, c: int, e: enumeration('E', ['y']) }, returns: array(int) });
  const described = (one: typeof here | typeof there) => querySchema([one], [], { realNames: true });
  assert.deepEqual(new Comparison(described(here), described(there)).run(), [
    'q_obj_do-arg.c: only there',
    'q_obj_do-arg.a: order',
    'q_obj_do-arg.b: order',
    'int: str there',
    'q_obj_do-arg.b: optional',
    'E=x: only here',
    'str: int there',
  ]);
  assert.deepEqual(new Comparison(described(here), []).run(), ['do: only here']);
});
