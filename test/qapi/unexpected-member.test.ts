// Of several unexpected members the one that QEMU 7.2 and 10.0 name is named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unexpectedMember } from '../../src/qapi/unexpected-member.ts';
import { checkOpenFds } from '../open-fds.ts';
import { ask, isMissing } from './qemu.ts';

checkOpenFds();

test('the order in which they were sent does not matter', () => {
  assert.equal(unexpectedMember(['enable', 'bogus'], []), 'bogus');
  assert.equal(unexpectedMember(['bogus', 'enable'], []), 'bogus');
  assert.equal(unexpectedMember(['error', 'a'], []), 'a');
});

test('of more than a thousand it is the first', () => {
  const names = Array.from({ length: 1001 }, (_, index) => `m${index}`);
  assert.equal(unexpectedMember(names, ['m0', 'm1']), 'm2');
});

test('QEMU names the same, however many there are', { skip: isMissing('qemu-system-x86_64') }, async () => {
  const cases = Array.from({ length: 400 }, (_, index) => {
    const known = ['fdset-id', 'opaque'].filter((_, bit) => ((index >> bit) & 1) === 1);
    const others = Array.from({ length: 1 + (index >> 2) }, (_, n) => `${n % 3 === 0 ? 'é' : 'x'}-${index * n}${n}`);
    return { known, names: [...others, ...known] };
  });
  const requests = cases.map(({ names }) => {
    const members = names.map((name) => `${JSON.stringify(name)}: ${name === 'fdset-id' ? '1' : '"x"'}`);
    return `{"execute": "add-fd", "arguments": {${members.join(', ')}}}`;
  });
  const answers = await ask('qemu-system-x86_64', requests);
  assert.deepEqual(
    answers.map((answer) => (answer.get('error') as ReadonlyMap<string, unknown>).get('desc')),
    cases.map(({ names, known }) => `Parameter '${unexpectedMember(names, known)}' is unexpected`),
  );
});
