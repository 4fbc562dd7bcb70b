import assert from 'node:assert/strict';
import test from 'node:test';
import {
  addFdOptions,
  array,
  asInt64,
  BlockdevOptions,
  BlockExportOptions,
  bool,
  chardevOptions,
  int,
  MonitorOptions,
  NbdServerOptions,
  number,
  ObjectOptions,
  optional,
  parseKeyval,
  parseQemuOpts,
  QapiError,
  size,
  struct,
  visitOption,
} from '../../src/qapi/index.ts';
import { keyvalCases, qemuOptsCases } from './option-cases.ts';
import { checkOpenFds } from '../open-fds.ts';
import { isMissing, startupComplaint } from './qemu.ts';
import { messageOf } from './values.ts';

checkOpenFds();

const readers: Readonly<Record<string, (argument: string) => unknown>> = {
  '--blockdev': (argument) => visitOption(BlockdevOptions, argument, 'driver'),
  '--nbd-server': (argument) => visitOption(NbdServerOptions, argument),
  '--export': (argument) => visitOption(BlockExportOptions, argument, 'type'),
  '--monitor': (argument) => visitOption(MonitorOptions, argument, 'chardev'),
  '--object': (argument) => visitOption(ObjectOptions, argument, 'qom-type'),
  '--chardev': (argument) => parseQemuOpts(chardevOptions, argument),
  '-add-fd': (argument) => parseQemuOpts(addFdOptions, argument),
};

for (const [option, cases] of Object.entries({ ...keyvalCases, ...qemuOptsCases })) {
  test(`${option} is read as QEMU reads it`, () => {
    const read = readers[option]!;
    for (const [argument, expected] of cases) {
      if (expected === '') assert.ok(read(argument), argument);
      else
        assert.equal(
          messageOf(() => read(argument)),
          expected,
          argument,
        );
    }
  });

  const program = option === '-add-fd' ? 'qemu-system-x86_64' : 'qemu-storage-daemon';
  test(`${program} says about ${option} what is recorded here`, { skip: isMissing(program) }, () => {
    const refusals = new Set(cases.map(([, expected]) => expected).filter(Boolean));
    for (const [argument, expected] of cases) {
      const lines = startupComplaint(program, option, argument);
      if (expected !== '') assert.ok(lines.includes(expected), `${argument}: ${lines.join('\n')}`);
      else assert.ok(!lines.some((line) => refusals.has(line)), `${argument}: ${lines.join('\n')}`);
    }
  });
}

test('dots make objects and lists, two commas are one in a value', () => {
  assert.deepEqual(
    parseKeyval('quorum,children.0=a,,b,children.1.driver=file,children.1.x.y=1=2,cache.direct=on', 'driver'),
    new Map<string, unknown>([
      ['driver', 'quorum'],
      [
        'children',
        [
          'a,b',
          new Map<string, unknown>([
            ['driver', 'file'],
            ['x', new Map([['y', '1=2']])],
          ]),
        ],
      ],
      ['cache', new Map([['direct', 'on']])],
    ]),
  );
});

test('names of object members are no indices, and inherited ones no members', () => {
  assert.deepEqual(parseKeyval('constructor.prototype=x'), new Map([['constructor', new Map([['prototype', 'x']])]]));
  assert.equal(
    messageOf(() => visitOption(BlockdevOptions, 'null-co,constructor=x', 'driver')),
    "Parameter 'constructor' is unexpected",
  );
});

test('strings become values of the types', () => {
  const options = visitOption(BlockdevOptions, 'null-co,node-name=n,size=0x20,latency-ns=-1,read-zeroes=on', 'driver');
  assert.deepEqual(options, {
    driver: 'null-co',
    'node-name': 'n',
    size: 32,
    'latency-ns': 2n ** 64n - 1n,
    'read-zeroes': true,
  });
  const all = struct('All', { s: optional(size), n: optional(number), l: optional(array(int)), b: optional(bool) });
  assert.deepEqual(visitOption(all, 's=1.5k,n=-2.5e1,l.0=1,l.1=010,b=off'), { s: 1536, n: -25, l: [1, 8], b: false });
  assert.equal(
    messageOf(() => visitOption(all, 's=1.5')),
    "Parameter 's' expects a size value",
  );
  assert.equal(
    messageOf(() => visitOption(all, 's=16E')),
    "Parameter 's' expects a size value",
  );
  assert.equal(
    messageOf(() => visitOption(all, 'n=x')),
    "Invalid parameter type for 'n', expected: number",
  );
  assert.equal(
    messageOf(() => visitOption(all, 'l.0=x')),
    "Parameter 'l.0' expects integer",
  );
});

test('the flat form of an address is for the command line', () => {
  const options = visitOption(NbdServerOptions, 'addr.type=inet,addr.host=::1,addr.port=10809,addr.to=10819');
  assert.deepEqual(options, { addr: { type: 'inet', host: '::1', port: '10809', to: 10819 } });
});

test('a flag means on, with no before it off, and both are warned about', () => {
  const warnings: unknown[] = [];
  const text = 'socket,id=c,path=/p,,q,server,nowait,nodelay';
  const { id, values, help } = parseQemuOpts(chardevOptions, text, (warning) => warnings.push(warning));
  assert.equal(id, 'c');
  assert.deepEqual(values, { backend: 'socket', path: '/p,q', server: true, wait: false, delay: false });
  assert.equal(help, false);
  assert.deepEqual(warnings, [
    { message: "short-form boolean option 'server' deprecated", hint: 'Please use server=on instead' },
    { message: "short-form boolean option 'nowait' deprecated", hint: 'Please use wait=off instead' },
    { message: "short-form boolean option 'nodelay' deprecated", hint: 'Please use nodelay=on instead' },
  ]);
});

test('of a key given twice the last counts', () => {
  assert.deepEqual(parseQemuOpts(addFdOptions, 'fd=3,fd=4,set=1').values, { fd: 4, set: 1 });
});

test('help ends the reading', () => {
  assert.equal(parseQemuOpts(chardevOptions, 'help').help, true);
  assert.equal(parseQemuOpts(chardevOptions, 'socket,id=a,?,bogus=1').help, true);
  assert.equal(parseQemuOpts(addFdOptions, 'fd=5,help').help, true);
});

test('numbers are unsigned, and a caller that wants them signed converts', () => {
  const { set } = parseQemuOpts(addFdOptions, 'set=-1').values;
  assert.equal(set, 2n ** 64n - 1n);
  assert.equal(asInt64(set), -1);
  assert.equal(asInt64(2n ** 63n), -(2n ** 63n));
  assert.equal(asInt64(7), 7);
});

test('a hint that QEMU prints on a second line is kept apart from the message', () => {
  assert.throws(
    () => parseQemuOpts(chardevOptions, 'null,id=1'),
    (error) => error instanceof QapiError && error.hint?.startsWith('Identifiers consist of') === true,
  );
});
