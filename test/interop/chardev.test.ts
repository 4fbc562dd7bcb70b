// Character devices over QMP: the same requests to QEMU 10.0 and to ours, the same bytes back.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { connectUnix, listenUnix } from '../../src/socket/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10, qemuVersions } from '../qemu-versions.ts';
import { compare, type Conversation } from './chardev-dialogue.ts';

checkOpenFds();

const skip = qemu10.missing;

function add(id: string, type: string, data: object = {}): object {
  return { execute: 'chardev-add', arguments: { id, backend: { type, data } } };
}
function socket(id: string, data: object): object {
  return add(id, 'socket', data);
}
const unix = (path: string, more: object = {}): object => ({ type: 'unix', data: { path, ...more } });
const inet = (host: string, port: string, more: object = {}): object => ({
  type: 'inet',
  data: { host, port, ...more },
});
const remove = (id: string): object => ({ execute: 'chardev-remove', arguments: { id } });
const change = (id: string, type: string, data: object = {}): object => ({
  execute: 'chardev-change',
  arguments: { id, backend: { type, data } },
});

const away = { wait: false };
const client = { server: false };
const longPath = 'x'.repeat(109);

/** Each is asked of both programs. */
const requests: readonly (object | string)[] = [
  add('n', 'null'),
  add('n', 'null'),
  add('1x', 'null'),
  add('', 'null'),
  add('a b', 'null'),
  { execute: 'chardev-add', arguments: { id: 'x' } },
  { execute: 'chardev-add', arguments: { id: 'x', backend: { type: 'null' } } },
  { execute: 'chardev-add', arguments: { id: 'x', backend: { type: 'null', data: { bogus: 1 } } } },
  add('x', 'nope'),
  ...['msmouse', 'wctablet', 'braille', 'testdev', 'qemu-vdagent', 'vc'].map((type) => add('x', type)),
  // Unix
  socket('u1', { addr: unix('DIR/u1') }),
  socket('u2', { addr: unix('DIR/u2'), ...away }),
  socket('u2', { addr: unix('DIR/u2'), ...away }),
  socket('u3', { addr: unix('fdset-chardev-abstract', { abstract: true }), ...away }),
  socket('u4', { addr: unix('fdset-chardev-loose', { abstract: true, tight: false }), ...away }),
  socket('u5', { addr: unix('fdset-chardev-abstract', { abstract: true }), ...away }),
  socket('u6', { addr: unix(longPath), ...away }),
  socket('u6', { addr: unix(longPath.slice(1), { abstract: true }), ...away }),
  socket('u7', { addr: unix(''), ...away }),
  socket('u8', { addr: unix('/nonexistent/x'), ...away }),
  socket('u9', { addr: unix('DIR'), ...away }),
  socket('c1', { addr: unix('DIR/none'), ...client }),
  socket('c1', { addr: unix('DIR/none'), ...client, 'reconnect-ms': -1 }),
  socket('c1', { addr: unix(''), ...client }),
  socket('c1', { addr: unix(longPath), ...client }),
  socket('c1', { addr: unix('none', { abstract: true }), ...client }),
  socket('c2', { addr: unix('DIR/none'), ...client, 'reconnect-ms': 100_000 }),
  socket('c3', { addr: unix('DIR/none'), ...client, reconnect: 1000 }),
  socket('c4', { addr: unix('DIR/u2'), ...client }),
  socket('c5', { addr: unix('fdset-chardev-loose', { abstract: true, tight: false }), ...client }),
  // TCP
  socket('t1', { addr: inet('127.0.0.1', '0'), ...away }),
  socket('t2', { addr: inet('::1', '0'), ...away }),
  socket('t3', { addr: inet('', '0'), ...away }),
  socket('t4', { addr: inet('', '0', { ipv6: true }), ...away }),
  socket('t5', { addr: inet('', '0', { ipv6: true, ipv4: true }), ...away }),
  socket('t6', { addr: inet('', '0', { ipv4: true }), ...away }),
  socket('t7', { addr: inet('localhost', '', { ipv4: true }), ...away }),
  socket('t8', { addr: inet('127.0.0.1', '99999'), ...away }),
  socket('t9', { addr: inet('127.0.0.1', 'xx'), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '1x'), ...away }),
  socket('t9', { addr: inet('no.such.host.invalid', '1'), ...away }),
  socket('t9', { addr: inet('localhost', '1', { numeric: true }), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '1', { ipv4: false, ipv6: false }), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '1', { ipv4: false }), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '1', { ipv6: true }), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '47980', { to: 47_970 }), ...away }),
  socket('t9', { addr: inet('192.0.2.1', '47980'), ...away }),
  socket('t9', { addr: inet('127.0.0.1', '1'), ...client }),
  socket('t9', { addr: inet('', '1'), ...client }),
  socket('t9', { addr: inet('no.such.host.invalid', '1'), ...client }),
  // options that exclude each other
  socket('o', { addr: unix('DIR/o'), ...client, wait: true }),
  socket('o', { addr: unix('DIR/o'), ...client, wait: false }),
  socket('o', { addr: unix('DIR/o'), ...client, reconnect: 1, 'reconnect-ms': 1 }),
  socket('o', { addr: unix('DIR/o'), reconnect: 1 }),
  socket('o', { addr: unix('DIR/o'), ...client, websocket: true }),
  socket('o', { addr: unix('DIR/o'), 'tls-creds': 'x' }),
  socket('o', { addr: unix('DIR/o'), 'tls-authz': 'x' }),
  socket('o1', { addr: unix('DIR/o1'), 'reconnect-ms': 5 }),
  socket('o2', { addr: unix('DIR/o2'), nodelay: true }),
  // numbers of ports
  ...['-1', '2147483648', '4294967296', '18446744073709551616'].map((port) =>
    socket('o3', { addr: { type: 'inet', data: { host: '127.0.0.1', port } }, server: false }),
  ),
  // kept bytes
  add('r1', 'ringbuf', { size: 8 }),
  add('r2', 'memory'),
  add('r3', 'ringbuf', { size: 3 }),
  add('r3', 'ringbuf', { size: -1 }),
  add('r4', 'ringbuf', { size: 0 }),
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'hello world' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 3 } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 1000 } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 1000 } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'aGVsbG8=', format: 'base64' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 10, format: 'base64' } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'h\u00e9' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 10, format: 'utf8' } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'a\u0000b' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 10, format: 'base64' } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'a\u0000b' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 10 } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: 'YQBi', format: 'base64' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 10 } },
  { execute: 'ringbuf-write', arguments: { device: 'r1', data: '!', format: 'base64' } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: 0 } },
  { execute: 'ringbuf-read', arguments: { device: 'r1', size: -1 } },
  { execute: 'ringbuf-read', arguments: { device: 'n', size: 1 } },
  { execute: 'ringbuf-read', arguments: { device: 'nope', size: 1 } },
  { execute: 'ringbuf-write', arguments: { device: 'n', data: '' } },
  { execute: 'ringbuf-write', arguments: { device: 'nope', data: '' } },
  // one standard input
  add('io', 'stdio'),
  add('io2', 'stdio'),
  // taken away and changed
  remove('nope'),
  remove('m0'),
  remove('o2'),
  remove('o2'),
  remove('io'),
  change('nope', 'null'),
  change('m0', 'null'),
  change('u1', 'null'),
  change('u1', 'socket', { addr: unix('/nonexistent/x') }),
  change('u1', 'null'),
  change('n', 'socket', { addr: unix('DIR/changed') }),
  { execute: 'chardev-send-break', arguments: { id: 'n' } },
  { execute: 'chardev-send-break', arguments: { id: 'nope' } },
];

for (const version of qemuVersions) {
  test(
    `devices are added, changed and removed in the words of QEMU ${version.name}`,
    { skip: version.missing },
    async () => {
      const talk = async (conversation: Conversation): Promise<void> => {
        for (const request of requests) {
          conversation.said.push(JSON.stringify(request));
          await conversation.ask(request);
        }
        await conversation.askDevices();
      };
      const { ours, theirs } = await compare('qemu-storage-daemon', talk, [], undefined, version);
      assert.deepEqual(ours, theirs);
    },
  );
}

test('a device names both ends of its connection', { skip }, async () => {
  const { ours, theirs } = await compare('qemu-storage-daemon', async (talk) => {
    await talk.ask(socket('s', { addr: unix('DIR/s'), ...away }));
    await talk.ask(socket('a', { addr: unix(`fdset-ends-${talk.child.pid}`, { abstract: true }), ...away }));
    await talk.ask(socket('t', { addr: inet('127.0.0.1', '0'), ...away }));
    await talk.ask(socket('v', { addr: inet('::1', '0'), ...away }));
    const ports = await portsOf(talk);
    const abstract = await connectUnix(`@fdset-ends-${talk.child.pid}`);
    const peers = [net.connect(talk.path('s')), net.connect(ports[0]!, '127.0.0.1'), net.connect(ports[1]!, '::1')];
    await talk.ask(socket('c', { addr: unix('DIR/s'), ...client }));
    await sleep(200);
    await talk.askDevices();
    for (const peer of peers) peer.destroy();
    abstract.close();
  });
  const plain = (said: readonly string[]): string[] => said.map((line) => line.replaceAll(/fdset-ends-\d+/g, 'NAME'));
  assert.deepEqual(plain(ours), plain(theirs));
});

/** The ports of the devices t and v. */
async function portsOf(talk: Conversation): Promise<number[]> {
  talk.connection.send('{"execute": "query-chardev"}');
  const { return: devices } = JSON.parse(await talk.connection.read(1)) as {
    return: { label: string; filename: string }[];
  };
  return ['t', 'v'].map((id) => {
    const { filename } = devices.find(({ label }) => label === id)!;
    return Number(/:(\d+),server=on$/.exec(filename)?.[1]);
  });
}

test('a device that waits for its first client holds up the monitor until it has come', { skip }, async () => {
  const { ours, theirs } = await compare('qemu-storage-daemon', async (talk) => {
    const { connection } = talk;
    connection.send(JSON.stringify(socket('w', { addr: unix('DIR/w'), wait: true })).replaceAll('DIR', talk.folder));
    connection.send('{"execute": "query-version", "id": "later"}');
    await sleep(300);
    talk.said.push(`${connection.messages.length} replies`);
    const first = await connectUnix(talk.path('w'));
    await connection.waitFor(() => connection.messages.length === 2, 5000);
    const replies = connection.take().map(({ text }) => text);
    talk.said.push(replies[0]!, replies[1]!.replace(/"package": "[^"]*"/, ''));
    await talk.askDevices();
    first.close();
  });
  assert.deepEqual(ours, theirs);
});

test('a named fd becomes a device, whatever kind of socket it is', { skip }, async () => {
  const { ours, theirs } = await compare('qemu-system-x86_64', async (talk) => {
    const nothing = openSync('/dev/null', 'r');
    const listener = listenUnix(talk.path('mine'));
    const connected = await connectUnix(talk.path('mine'));
    const give = (fd: number): Promise<string> =>
      talk.ask({ execute: 'getfd', arguments: { fdname: 'f' } }, { fds: [fd] });
    const named = (str: string): object => ({ type: 'fd', data: { str } });
    await talk.ask(socket('x', { addr: named('f'), ...away }));
    await talk.ask(socket('x', { addr: named('99'), ...away }));
    await give(nothing);
    await talk.ask(socket('x', { addr: named('f'), ...away }));
    await talk.ask({ execute: 'closefd', arguments: { fdname: 'f' } });
    await give(connected.fd);
    await talk.ask(socket('x', { addr: named('f'), ...away }));
    await give(connected.fd);
    await talk.ask(socket('c', { addr: named('f'), ...client }));
    await give(listener.fd);
    await talk.ask(socket('l', { addr: named('f'), ...away }));
    await talk.ask({ execute: 'query-yank' });
    await talk.askDevices();
    closeSync(nothing);
    listener.close();
    connected.close();
  });
  // QEMU's accepts the connection that waits at the listener; which of the two takes it is a race in neither.
  assert.deepEqual(ours, theirs);
});

test('yank ends connections, and refuses what there is not', { skip }, async () => {
  const { ours, theirs } = await compare('qemu-system-x86_64', async (talk) => {
    const yank = (...instances: object[]): object => ({ execute: 'yank', arguments: { instances } });
    await talk.ask({ execute: 'query-yank' });
    await talk.ask(yank());
    await talk.ask(yank({ type: 'chardev', id: 'nope' }));
    await talk.ask(yank({ type: 'migration' }));
    await talk.ask(yank({ type: 'block-node', 'node-name': 'x' }));
    await talk.ask(yank({ type: 'x' }));
    await talk.ask(yank({ type: 'chardev' }));
    await talk.ask(socket('s', { addr: unix('DIR/s'), ...away }));
    const peer = net.connect(talk.path('s')).on('error', () => undefined);
    await sleep(100);
    await talk.askDevices();
    await talk.ask(yank({ type: 'chardev', id: 's' }));
    await sleep(100);
    await talk.askDevices();
    peer.destroy();
    // A monitor can be yanked by itself: it does not answer, and what was sent behind does not run.
    talk.connection.send(JSON.stringify(yank({ type: 'chardev', id: 'm0' })) + JSON.stringify(add('behind', 'null')));
    await talk.connection.readEnd();
    talk.said.push(`${talk.connection.messages.length} replies`);
    await talk.connect('{"execute": "qmp_capabilities"}');
    await talk.askDevices();
  });
  assert.deepEqual(ours, theirs);
});
