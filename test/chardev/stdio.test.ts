// A monitor on standard input and output, of a program of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { fdsetMain } from '../cli/fdset-process.ts';
import { missing } from '../programs.ts';

const args = [fdsetMain, 'storage-daemon', '--chardev', 'stdio,id=s', '--monitor', 's'];
const greeting = /^\{"QMP": \{"version": .*, "capabilities": \["oob"\]\}\}\r\n/;

suite('a monitor on standard input and output', () => {
  test('is spoken to over pipes, and quits', async () => {
    const { stdout, status } = spawnSync(process.execPath, args, {
      input: '{"execute": "qmp_capabilities"}{"execute": "query-chardev"}{"execute": "quit"}',
      encoding: 'utf8',
    });
    assert.match(stdout, greeting);
    assert.equal(
      stdout.replace(greeting, ''),
      '{"return": {}}\r\n{"return": [{"frontend-open": true, "filename": "stdio", "label": "s"}]}\r\n{"return": {}}\r\n',
    );
    assert.equal(status, 0);
  });

  test('answers what was sent before the end of its input, and the program goes on', async () => {
    const child = spawn(process.execPath, args);
    child.stdin.end('{"execute": "qmp_capabilities"}{"execute": "query-fdsets"}');
    const text = await read(child, '{"return": []}\r\n');
    assert.ok(text.endsWith('{"return": {}}\r\n{"return": []}\r\n'), text);
    await sleep(50);
    assert.equal(child.exitCode, null);
    child.kill();
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 0);
  });

  test('is spoken to on a terminal, whose modes are put back', { skip: missing('script') }, () => {
    const daemon = [process.execPath, ...args].join(' ').replace('stdio,id=s', 'stdio,id=s,signal=off');
    const { stdout, stderr } = spawnSync('script', ['-qec', `stty -a; ${daemon}; stty -a`, '/dev/null'], {
      input: '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n',
      encoding: 'utf8',
    });
    assert.match(stdout, /"capabilities": \["oob"\]/, stderr);
    assert.match(stdout, /\{"return": \{\}\}/);
    assert.deepEqual(stdout.match(/-?isig/g), ['isig', 'isig']);
  });
});

async function read(child: ChildProcess, end: string): Promise<string> {
  let text = '';
  child.stdout!.setEncoding('utf8');
  for await (const part of child.stdout as AsyncIterable<string>) {
    text += part;
    if (text.endsWith(end)) break;
  }
  return text;
}
