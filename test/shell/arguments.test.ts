// What a line means, with the types of the server's schema and without them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ServerSchema } from '../../src/introspection/index.ts';
import { parseArguments } from '../../src/shell/arguments.ts';
import { LineError } from '../../src/shell/line-error.ts';
import { FileReference } from '../../src/shell/typed-value.ts';
import { splitWords } from '../../src/shell/words.ts';
import { sampleSchema } from '../introspection/sample-schema.ts';

const schema = ServerSchema.read(sampleSchema);

/** The arguments of a line, as plain values. */
function read(line: string, command?: string): unknown {
  const { words } = splitWords(line);
  const type = command === undefined ? undefined : schema.commands.get(command)!.arguments;
  return plain(parseArguments(words, command === undefined ? undefined : schema, type).arguments);
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([name, member]) => [name, plain(member)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

describe('with a schema', () => {
  const lines: [string, unknown][] = [
    ['driver=file filename=4 offset=0x10', { driver: 'file', filename: '4', offset: 16 }],
    ['driver=file filename=a offset=10G', { driver: 'file', filename: 'a', offset: 10_737_418_240 }],
    [
      'offset=9223372036854775807 filename="a b" driver=file',
      { offset: 9_223_372_036_854_775_807n, filename: 'a b', driver: 'file' },
    ],
    ['driver=null read-only=on', { driver: 'null', 'read-only': true }],
    ['driver=over below=null', { driver: 'over', below: null }],
    ['driver=over below="null"', { driver: 'over', below: 'null' }],
    [
      'driver=over below.driver=file below.filename=true',
      { driver: 'over', below: { driver: 'file', filename: 'true' } },
    ],
    [
      'driver=over below=n parts.1.filename=b parts.0.filename=a',
      { driver: 'over', below: 'n', parts: [{ filename: 'a' }, { filename: 'b' }] },
    ],
    ['driver=over below={"driver":"null"}', { driver: 'over', below: { driver: 'null' } }],
    ['driver=file filename=a locks=x,y', { driver: 'file', filename: 'a', locks: ['x', 'y'] }],
    ['driver=file filename=a locks=["x,y"]', { driver: 'file', filename: 'a', locks: ['x,y'] }],
    ['driver=file filename=@@a', { driver: 'file', filename: '@a' }],
    ['driver=file filename=\'@a "b"\'', { driver: 'file', filename: '@a "b"' }],
    ['{"driver": "null", "future": 1}', { driver: 'null', future: 1 }],
    ['{"driver": "null"} node-name=n', { driver: 'null', 'node-name': 'n' }],
  ];
  for (const [line, expected] of lines) test(line, () => assert.deepEqual(read(line, 'block-add'), expected));

  test('a file in the place of a name is kept for later', () => {
    const { filename } = read('driver=file filename=@"my disk:r":rw,direct', 'block-add') as {
      filename: FileReference;
    };
    assert.deepEqual(filename.file, { path: 'my disk:r', mode: 'rw', direct: true });
  });
});

describe('without a schema values are what they look like', () => {
  const lines: [string, unknown][] = [
    ['a=1 b=-1 c=true d=null e=x', { a: 1, b: -1, c: true, d: null, e: 'x' }],
    ['a.b=1 a.c.d="1"', { a: { b: 1, c: { d: '1' } } }],
    ['a.0=x a.1=y', { a: ['x', 'y'] }],
    ['a={"b":[1]} c=x[', { a: { b: [1] }, c: 'x[' }],
  ];
  for (const [line, expected] of lines) test(line, () => assert.deepEqual(read(line), expected));
});

describe('errors say what, where, and the way out', () => {
  const lines: [string, RegExp, string][] = [
    ['driver=fil', /driver takes one of 3 values: do you mean file\?/, 'fil'],
    ['driver=file filname=x', /there is no filname: do you mean filename\?/, 'filname'],
    ['filename=x', /give driver= as well: it decides whether there is filename/, 'filename'],
    ['driver=over below.filename=x', /give below\.driver= as well/, 'below.filename'],
    ['driver=file offset=many', /offset takes an integer/, 'many'],
    ['driver=null read-only=maybe', /read-only takes on or off/, 'maybe'],
    ['driver=null driver=null', /driver is given more than once/, 'driver'],
    ['driver=over below=x below.driver=null', /below is given as a whole and in parts/, 'below'],
    ['driver=over below=n parts.1.filename=x', /element 0 is missing/, 'parts.1.filename'],
    ['driver=null node-name.x=1', /node-name has no members/, 'node-name.x'],
    ['driver=null zzz=1', /there is no zzz: there are driver, node-name, read-only/, 'zzz'],
    ['driver=null x', /'x' is no argument: give key=value, a JSON object, or @FILE:rw/, 'x'],
    ['{"driver": null,,}', /this is not JSON/, '{"driver": null,,}'],
    ['driver=null }', /'}' is no argument/, '}'],
  ];
  for (const [line, says, where] of lines) {
    test(line, () => {
      assert.throws(
        () => read(line, 'block-add'),
        (error) => {
          assert.ok(error instanceof LineError, String(error));
          assert.match(error.message, says);
          assert.equal(line.slice(error.span.start, error.span.end), where);
          return true;
        },
      );
    });
  }
});

test('a line with an open bracket or quote goes on', () => {
  assert.equal(splitWords('a {"b": [1,').open, ']');
  assert.equal(splitWords('a b="x').open, '"');
  assert.equal(splitWords('a {"b": "}"}').open, undefined);
  assert.equal(splitWords("it's").open, undefined);
});

test('a comment is no command', () => {
  assert.deepEqual(splitWords('  # stop').words, []);
});
