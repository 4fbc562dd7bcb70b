import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemError } from '../../src/addon/index.ts';
import { type CharChannel, type CharFrontend, SocketChardev } from '../../src/chardev/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { QmpConnection } from '../qmp-connection.ts';
import { listeningSocket } from '../transcripts/listening-socket.ts';

checkOpenFds();

/** Says hello to each client and keeps its channel. */
class Greeter implements CharFrontend {
  readonly channels: CharChannel[] = [];

  connected(open: Parameters<CharFrontend['connected']>[0]): void {
    const channel = open({ data: () => undefined, end: (self) => self.destroy() });
    channel.write(`{"hello": ${this.channels.push(channel)}}\r\n`);
  }
}

suite('a socket character device', () => {
  let dir: string;
  let path: string;
  let greeter: Greeter;
  let chardev: SocketChardev | undefined;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'fdset-chardev-'));
    path = join(dir, 'qmp');
    greeter = new Greeter();
  });
  afterEach(async () => {
    chardev?.close();
    for (const channel of greeter.channels) channel.destroy();
    await sleep(10);
    rmSync(dir, { recursive: true });
  });

  function serve(...address: Parameters<typeof makeChardev>): void {
    chardev = makeChardev(...address);
    chardev.attach(greeter);
  }

  test('serves one client at a time, the others in the order they came', async () => {
    serve({ path });
    const clients = [await QmpConnection.open(path), await QmpConnection.open(path), await QmpConnection.open(path)];
    assert.equal(await clients[0]?.read(1), '{"hello": 1}\r\n');
    await sleep(50);
    assert.deepEqual(clients[1]?.take(), []);
    clients[0]?.close();
    assert.equal(await clients[1]?.read(1), '{"hello": 2}\r\n');
    clients[1]?.close();
    assert.equal(await clients[2]?.read(1), '{"hello": 3}\r\n');
    clients[2]?.close();
  });

  test('takes over a path that a dead process has left, but no file that is not a socket', () => {
    serve({ path });
    const other = join(dir, 'file');
    writeFileSync(other, 'precious');
    assert.throws(() => makeChardev({ path: other }));
    assert.ok(existsSync(other));
  });

  test('makes its socket with the mode asked for and removes it when closed', () => {
    serve({ path, mode: 0o600 });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    chardev?.close();
    chardev?.close();
    assert.equal(existsSync(path), false);
  });

  test('listens on an abstract address', async () => {
    const name = `fdset-test-${process.pid}`;
    serve({ abstract: name });
    const client = await QmpConnection.open(`@${name}`);
    assert.equal(await client.read(1), '{"hello": 1}\r\n');
    client.close();
  });

  test('listens on a TCP port', async () => {
    const port = await freePort();
    serve({ host: '127.0.0.1', port });
    const socket = net.connect({ host: '127.0.0.1', port });
    const [hello] = (await once(socket, 'data')) as [Buffer];
    assert.equal(hello.toString(), '{"hello": 1}\r\n');
    socket.destroy();
    await once(socket, 'close');
  });

  test('listens on a socket that somebody else has made', async () => {
    serve({ fd: new OwnedFd(listeningSocket(path)) });
    const client = await QmpConnection.open(path);
    assert.equal(await client.read(1), '{"hello": 1}\r\n');
    client.close();
  });

  test('keeps the client that comes before the frontend', async () => {
    chardev = makeChardev({ path });
    assert.equal(chardev.filename, `disconnected:unix:${path},server=on`);
    const client = await QmpConnection.open(path);
    await chardev.untilConnected();
    assert.equal(chardev.filename, `unix:${path},server=on`);
    chardev.attach(greeter);
    assert.equal(await client.read(1), '{"hello": 1}\r\n');
    client.close();
  });

  test('goes on listening when a channel cannot be opened', async () => {
    let refusals = 0;
    chardev = makeChardev({ path });
    chardev.attach({
      connected: (open) => {
        if (refusals++ === 0) throw new SystemError(constants.errno.ENOMEM, 'epoll_ctl');
        greeter.connected(open);
      },
    });
    const refused = await QmpConnection.open(path);
    await refused.readEnd();
    const client = await QmpConnection.open(path);
    assert.equal(await client.read(1), '{"hello": 1}\r\n');
    refused.close();
    client.close();
  });

  test('is yanked: the client goes, the next one comes', async () => {
    serve({ path });
    const [one, two] = [await QmpConnection.open(path), await QmpConnection.open(path)];
    await one.read(1);
    chardev?.yank();
    await one.readEnd();
    assert.equal(await two.read(1), '{"hello": 2}\r\n');
    one.close();
    two.close();
  });

  test('has one frontend', () => {
    serve({ path });
    assert.throws(() => chardev?.attach(new Greeter()), /chardev 'c0' is already in use/);
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function makeChardev(address: ConstructorParameters<typeof SocketChardev>[1]): SocketChardev {
  return new SocketChardev('c0', address);
}
