// An fd is named by the command that made it, whatever number a server gives it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOpenFds } from '../../open-fds.ts';
import { Histogram } from './histogram.ts';
import { Naming } from './naming.ts';
import { inOneLine } from './pretty.ts';

checkOpenFds();

test('the fds of two servers have the same names', () => {
  const listing = (first: number, second: number): string[] => {
    const naming = new Naming();
    return [
      naming.canonical(0, `{"return": {"fd": ${first}, "fdset-id": 1}}`),
      naming.canonical(1, `{"return": {"fd": ${second}, "fdset-id": 1}, "id": {"fd": 3}}`),
      naming.canonical(0, `{"return": [{"fds": [{"fd": ${first}}, {"fd": ${second}, "opaque": "\\"fd\\": 9"}]}]}`),
    ];
  };
  assert.deepEqual(listing(12, 13), listing(31, 7));
  assert.deepEqual(listing(12, 13), [
    '{"return": {"fd": m0#1, "fdset-id": 1}}',
    '{"return": {"fd": m1#1, "fdset-id": 1}, "id": {"fd": 3}}',
    '{"return": [{"fds": [{"fd": m0#1}, {"fd": m1#1, "opaque": "\\"fd\\": 9"}]}]}',
  ]);
});

test('a number that is used again is the newer fd, and the older one has none any more', () => {
  const naming = new Naming();
  naming.canonical(0, '{"return": {"fd": 12, "fdset-id": 1}}');
  naming.canonical(0, '{"return": {"fd": 12, "fdset-id": 2}}');
  assert.equal(
    naming.canonical(0, '{"return": [{"fds": [{"fd": 12}], "fdset-id": 2}]}'),
    '{"return": [{"fds": [{"fd": m0#2}], "fdset-id": 2}]}',
  );
  assert.deepEqual(
    naming.listed.map(({ name }) => name),
    ['m0#2'],
  );
  assert.equal(naming.resolve(0).fd.trim(), '12');
});

test('a number that no command has made is not taken for one', () => {
  const text = `{"error": {"class": "GenericError", "desc": "File descriptor named 'fdset-id:1, fd:12' not found"}}`;
  assert.equal(new Naming().canonical(0, text), text.replace('12', 'unknown 12'));
});

test('what is printed over several lines is read as one, if the layout is right', () => {
  const lines = ['{', '    "return": [', '        {', '        },', '        1', '    ]', '}'];
  assert.equal(inOneLine(lines), '{"return": [{}, 1]}');
  assert.match(inOneLine(lines.with(3, '    },')), /^wrong layout/);
});

test('a mixture that is too tame is complained of', () => {
  const histogram = new Histogram();
  const failed = { expected: { name: 'add-fd', fds: 0, id: undefined, oob: false }, answer: '{"error": {}}' };
  histogram.add([{ what: '', writes: [], answers: [], outcomes: [failed, failed] }]);
  assert.deepEqual(histogram.complaints(['add-fd', 'getfd']), [
    'only 0.0 % of the commands succeed',
    'only 0.0 % of the commands are getfd',
  ]);
});
