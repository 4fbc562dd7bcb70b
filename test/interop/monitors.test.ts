// Monitors on every kind of character device: the same dialogue with QEMU 10.0's storage daemon and with ours.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { checkOpenFds } from '../open-fds.ts';
import { qemu10 } from '../qemu-versions.ts';
import { commandOf, compare, type Program } from './chardev-dialogue.ts';

checkOpenFds();

const programs = ['fdset', 'qemu-storage-daemon'] as const;
const hello = '{"execute": "qmp_capabilities"}';

suite('monitors, as QEMU has them', { skip: qemu10.missing }, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fdset-monitors-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** What stays the same whoever speaks. */
  function plain(text: string): string {
    return text
      .replaceAll(folder, 'DIR')
      .replaceAll(/"package": "[^"]*"/g, '"package": ""')
      .replaceAll(/^(?:fdset-storage-daemon|fdset storage-daemon|\S*qemu-storage-daemon): /gm, 'PROGRAM: ')
      .replaceAll(/^PROGRAM: --chardev \S+: info/gm, 'PROGRAM: info');
  }

  /** Runs a program to its end, with its input. */
  function run(program: Program, args: readonly string[], input?: string): SpawnSyncReturns<string> {
    const [file = '', ...rest] = commandOf(program);
    const options = args.map((each) => each.replaceAll('DIR', folder));
    const stdin = input === undefined ? { stdio: ['ignore' as const, 'pipe' as const, 'pipe' as const] } : { input };
    return spawnSync(file, [...rest, ...options], { ...stdin, encoding: 'utf8', timeout: 10_000 });
  }

  async function both<T>(talk: (program: Program) => T | Promise<T>): Promise<void> {
    const [ours, theirs] = [await talk(programs[0]), await talk(programs[1])];
    assert.deepEqual(ours, theirs);
  }

  test('on standard input and output, plain and pretty', async () => {
    const input = `${hello}{"execute": "query-chardev", "id": [{}]}{"execute": "nope"}{]{"execute": "quit"}`;
    for (const more of ['', ',pretty=on', ',mode=control,pretty=off,id=x']) {
      await both((program) => {
        const { stdout, stderr, status } = run(program, ['--chardev', 'stdio,id=s', '--monitor', `s${more}`], input);
        return [plain(stdout), plain(stderr), status];
      });
    }
  });

  test('what an option asks for in vain', async () => {
    const sockets = ['--chardev', 'null,id=n', '--chardev', 'socket,id=s,path=DIR/s,server=on,wait=off'];
    const wrong: readonly (readonly string[])[] = [
      ['--monitor', 's', '--monitor', 's'],
      ['--monitor', 's,mode=readline'],
      ['--monitor', 'nope'],
      ['--monitor', 'mode=control'],
      ['--monitor', 's,pretty'],
      ['--monitor', ''],
      ['--chardev', 'vc,id=a'],
      ['--chardev', 'null,id=n'],
      ['--chardev', 'stdio,id=a', '--chardev', 'stdio,id=b'],
      ['--chardev', 'socket,id=a'],
      ['--chardev', 'socket,id=a,path=DIR/none'],
      ['--chardev', 'socket,id=a,path=DIR/none,wait=off'],
      ['--chardev', 'socket,id=a,path=DIR/none,server=on,wait=off,reconnect=1'],
      ['--chardev', 'socket,id=a,host=127.0.0.1,port=1'],
      ['--chardev', 'socket,id=a,host=no.such.host.invalid,port=1'],
      ['--chardev', 'socket,id=a,fd=x,server=on'],
      ['--chardev', 'socket,id=a,fd=0,server=on'],
      ['--chardev', 'socket,id=a,path=DIR/x,server=on,tls-creds=q'],
    ];
    for (const args of wrong) {
      await both((program) => {
        const { stderr, status } = run(program, [...sockets, ...args]);
        return [args, plain(stderr), status];
      });
    }
  });

  test('over TCP: no fd comes that way', async () => {
    const { ours, theirs } = await compare(
      'qemu-system-x86_64',
      async (talk) => {
        await sleep(50);
        talk.connection.send('{"execute": "query-chardev"}');
        const [, port] = /"filename": "disconnected:tcp:127\.0\.0\.1:(\d+)/.exec(await talk.connection.read(1)) ?? [];
        const socket = net.connect(Number(port), '127.0.0.1').setEncoding('utf8');
        let text = '';
        socket.on('data', (part: string) => (text += part));
        socket.write(`${hello}{"execute": "add-fd"}{"execute": "getfd", "arguments": {"fdname": "f"}}`);
        socket.write('{"execute": "query-fdsets", "id": "last"}');
        for (let tries = 0; !text.includes('"last"') && tries < 500; tries++) await sleep(10);
        talk.said.push(plain(text));
        socket.destroy();
      },
      ['--chardev', 'socket,id=t,host=127.0.0.1,port=0,server=on,wait=off', '--mon', 't,mode=control'],
    );
    const greeted = (said: readonly string[]): string[] => said.map((each) => each.replace(/^\{"QMP".*\r\n/, ''));
    assert.deepEqual(greeted(ours), greeted(theirs));
  });

  test('that connects: it greets, survives refusal and comes back', async () => {
    await both(async (program) => {
      const path = join(folder, 'listening');
      const [file = '', ...rest] = commandOf(program);
      const device = `socket,id=c,path=${path},reconnect-ms=100`;
      const child = spawn(file, [...rest, '--chardev', device, '--monitor', 'c'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let complaints = '';
      child.stderr.on('data', (part: Buffer) => (complaints += String(part)));
      await once(child.stderr, 'data');
      const server = net.createServer().listen(path);
      const heard: string[] = [];
      for (const round of [1, 2]) {
        const [client] = (await once(server, 'connection')) as [net.Socket];
        client.on('error', () => undefined);
        client.write(`${hello}{"execute": "query-chardev", "id": ${round}}`);
        let text = '';
        for await (const part of client) {
          text += String(part);
          if (text.includes('"id"')) break;
        }
        heard.push(plain(text));
      }
      server.close();
      child.kill();
      const [code] = (await once(child, 'exit')) as [number];
      return [...heard, plain(complaints), code];
    });
  });

  test('that waits: nothing else happens before its first client has come', async () => {
    await both(async (program) => {
      const [path, pidFile] = [join(folder, 'waiting'), join(folder, `pid-${program}`)];
      const [file = '', ...rest] = commandOf(program);
      const args = ['--pidfile', pidFile, '--chardev', `socket,id=w,path=${path},server=on`, '--monitor', 'w'];
      const child = spawn(file, [...rest, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (part: Buffer) => (said += String(part)));
      for (let tries = 0; !said.endsWith('\n') && tries < 500; tries++) await sleep(10);
      const early = existsSync(pidFile);
      const client = net.connect(path).setEncoding('utf8');
      const [greeting] = (await once(client, 'data')) as [string];
      client.destroy();
      for (let tries = 0; !existsSync(pidFile) && tries < 500; tries++) await sleep(10);
      child.kill();
      const [code] = (await once(child, 'exit')) as [number];
      return [plain(said), early, plain(greeting), code];
    });
  });

  test('on nothing and on a ring of bytes', async () => {
    const { ours, theirs } = await compare(
      'qemu-storage-daemon',
      async (talk) => {
        await sleep(100);
        await talk.askDevices();
        const kept = await talk.ask('{"execute": "ringbuf-read", "arguments": {"device": "r", "size": 1000}}');
        talk.said.splice(-1, 1, kept.replace(/\\"package\\": \\".*?\\"/, ''));
        await talk.ask('{"execute": "chardev-remove", "arguments": {"id": "n"}}');
      },
      ['--chardev', 'null,id=n', '--monitor', 'n', '--chardev', 'ringbuf,id=r', '--monitor', 'r'],
    );
    assert.deepEqual(ours, theirs);
  });
});
