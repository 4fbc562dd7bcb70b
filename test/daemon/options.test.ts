// The storage daemon's command line: order, spellings, and getopt's words for what is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine, lastValue } from '../../src/daemon/options.ts';

test('options are carried out in the order they stand in', () => {
  const { inOrder } = parseCommandLine(['--export', 'a', '--blockdev=b', '--chardev', 'c=d']);
  assert.deepEqual(
    inOrder.map(({ name, value }) => [name, value]),
    [
      ['export', 'a'],
      ['blockdev', 'b'],
      ['chardev', 'c=d'],
    ],
  );
});

test('options that set the scene are found wherever they stand, the last one counting', () => {
  const line = parseCommandLine(['--blockdev', 'a', '--pidfile', 'x', '--pidfile=y']);
  assert.equal(lastValue(line, 'pidfile'), 'y');
  assert.equal(lastValue(line, 'sandbox'), undefined);
  assert.equal(line.inOrder.length, 1);
});

test('the text of an option is what was typed', () => {
  const { inOrder } = parseCommandLine(['--blockdev', 'driver=raw', '--export=x']);
  assert.deepEqual(
    inOrder.map(({ text }) => text),
    ['--blockdev driver=raw', '--export=x'],
  );
});

test('the emulator spells options with one dash', () => {
  const { inOrder } = parseCommandLine(['-chardev', 'c', '-mon', 'chardev=c', '-add-fd', 'fd=3,set=1']);
  assert.deepEqual(
    inOrder.map(({ name }) => name),
    ['chardev', 'monitor', 'add-fd'],
  );
});

test('a beginning that only one option has is enough', () => {
  assert.equal(parseCommandLine(['--block', 'x']).inOrder[0]!.name, 'blockdev');
});

const refused: [string[], string][] = [
  [['--bogus'], "unrecognized option '--bogus'"],
  [['--bogus=1'], "unrecognized option '--bogus'"],
  [['--pidfile'], "option '--pidfile' requires an argument"],
  [['--help=3'], "option '--help' doesn't allow an argument"],
  [['-x'], "invalid option -- 'x'"],
  [['-T'], "option requires an argument -- 'T'"],
  [['--constructor'], "unrecognized option '--constructor'"],
];
for (const [args, message] of refused) {
  test(`${args.join(' ')} is refused with ${JSON.stringify(message)}`, () => {
    assert.throws(() => parseCommandLine(args), { message, code: 'ERR_FDSET_USAGE' });
  });
}

test('a word that belongs to no option waits for its turn, and what follows -- is left alone', () => {
  const { inOrder } = parseCommandLine(['--blockdev', 'a', 'x', '-', '--', 'y', '--bogus']);
  assert.deepEqual(
    inOrder.map(({ name, text }) => [name, text]),
    [
      ['blockdev', '--blockdev a'],
      ['unexpected', 'x'],
      ['unexpected', '-'],
    ],
  );
});

test('a question ends the reading, and letters share a word', () => {
  assert.equal(parseCommandLine(['--blockdev', 'a', '--version', '--bogus']).asked, 'version');
  assert.equal(parseCommandLine(['-Vh']).asked, 'version');
  assert.throws(() => parseCommandLine(['--bogus', '--version']), { message: "unrecognized option '--bogus'" });
  assert.equal(parseCommandLine(['-Tfoo']).inOrder[0]!.value, 'foo');
});

test('a beginning that several options have stands for the one that qemu-storage-daemon has', () => {
  assert.equal(parseCommandLine(['--c', 'null,id=c']).inOrder[0]!.name, 'chardev');
});

test('an ambiguous beginning names what it could be', () => {
  assert.throws(() => parseCommandLine(['--p', 'x', '--a', 'x']), {
    message: "option '--a' is ambiguous; possibilities: '--allow-uid' '--add-fd'",
  });
});
