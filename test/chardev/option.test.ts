import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { CHARDEV_RULES_7_2, parseChardevOption } from '../../src/chardev/index.ts';

/** Without the members that are not set. */
function parse(text: string): unknown {
  return JSON.parse(JSON.stringify(parseChardevOption(text)?.backend));
}

const unix = { type: 'unix', data: { path: '/q', abstract: false, tight: true } };

suite('--chardev asks for what chardev-add asks for', () => {
  const asked: [string, unknown][] = [
    ['null,id=a', { type: 'null', data: {} }],
    ['backend=null,id=a,path=/ignored', { type: 'null', data: {} }],
    ['stdio,id=a,signal=off', { type: 'stdio', data: { signal: false } }],
    ['ringbuf,id=a,size=4k', { type: 'ringbuf', data: { size: 4096 } }],
    ['socket,id=a,path=/q', { type: 'socket', data: { addr: unix, server: false } }],
    ['socket,id=a,path=/q,server=on', { type: 'socket', data: { addr: unix, server: true, wait: true } }],
    ['socket,id=a,path=/q,server,nowait', { type: 'socket', data: { addr: unix, server: true, wait: false } }],
    [
      'socket,id=a,path=x,abstract=on,tight=off,reconnect-ms=5',
      {
        type: 'socket',
        data: {
          addr: { type: 'unix', data: { path: 'x', abstract: true, tight: false } },
          server: false,
          'reconnect-ms': 5,
        },
      },
    ],
    [
      'socket,id=a,host=h,port=http,to=70000,ipv4=on,ipv6=off,server=on,wait=off',
      {
        type: 'socket',
        data: {
          addr: { type: 'inet', data: { host: 'h', port: 'http', to: 4464, ipv4: true, ipv6: false } },
          server: true,
          wait: false,
        },
      },
    ],
    [
      'socket,id=a,port=0,reconnect=1',
      { type: 'socket', data: { addr: { type: 'inet', data: { host: '', port: '0' } }, server: false, reconnect: 1 } },
    ],
    ['socket,id=a,fd=7', { type: 'socket', data: { addr: { type: 'fd', data: { str: '7' } }, server: false } }],
    ['socket,id=a', { type: 'socket', data: { addr: { type: 'fd', data: { str: '' } }, server: false } }],
  ];
  for (const [text, backend] of asked) test(text, () => assert.deepEqual(parse(text), backend));
});

suite('--chardev refuses in QEMU’s words', () => {
  const none = "None or one of 'path', 'fd' or 'host' option required.";
  const refused: [string, string][] = [
    ['null', 'chardev: no id specified'],
    ['', 'chardev: no id specified'],
    ['id=a', 'chardev: "a" missing backend'],
    ['nope,id=a', "'nope' is not a valid char driver name"],
    [',id=a', "'' is not a valid char driver name"],
    ['null,id=1a', "Parameter 'id' expects an identifier"],
    ['null,id=', "Parameter 'id' expects an identifier"],
    ['socket,id=a,path=/x,fd=3', none],
    ['socket,id=a,path=/x,host=h', none],
    ['socket,id=a,fd=3,host=h', none],
    ['socket,id=a,host=h', 'chardev: socket: no port given'],
    ['socket,id=a,path=/x,bogus=1', "Invalid parameter 'bogus'"],
    ['socket,id=a,path=/x,reconnect-ms=x', "Parameter 'reconnect-ms' expects a number"],
  ];
  for (const [text, message] of refused)
    test(`'${text}'`, () => assert.throws(() => parseChardevOption(text), { message }));
});

test('7.2 does not know the keys that came later', () => {
  const text = 'socket,id=a,path=/q,reconnect-ms=1';
  assert.throws(() => parseChardevOption(text, undefined, CHARDEV_RULES_7_2), {
    message: "Invalid parameter 'reconnect-ms'",
  });
});

test('a short form is warned about', () => {
  const warnings: unknown[] = [];
  parseChardevOption('socket,id=a,path=/q,server,nowait', (warning) => warnings.push(warning));
  assert.deepEqual(warnings, [
    { message: "short-form boolean option 'server' deprecated", hint: 'Please use server=on instead' },
    { message: "short-form boolean option 'nowait' deprecated", hint: 'Please use wait=off instead' },
  ]);
});
