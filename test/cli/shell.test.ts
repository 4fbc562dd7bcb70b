// fdset shell in a terminal: what a person sees who types, presses Tab, Ctrl-C and Ctrl-D. The terminal is one of
// script(1), of 80 columns; keys are sent one by one, as a keyboard does.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { TestQemu } from '../../src/testing/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { fdsetMain } from './fdset-process.ts';

checkOpenFds();

const skip = spawnSync('script', ['--version']).error ? 'script (bsdutils) is not installed' : false;
const folder = temporaryFolder();
const image = join(folder, 'disk.img');
writeFileSync(image, 'x');
/** A shell in a terminal. */
class TerminalSession {
  readonly child: ChildProcessWithoutNullStreams;
  #seen = '';
  #from = 0;

  constructor(target: string) {
    const command = [process.execPath, fdsetMain, 'shell', target].map((word) => `'${word}'`).join(' ');
    const env = { ...process.env, XDG_STATE_HOME: folder, NO_COLOR: '1', TERM: 'xterm', SHELL: '/bin/sh' };
    this.child = spawn('script', ['-qfec', `stty cols 80 rows 24; ${command}`, '/dev/null'], { env });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#seen += text));
  }

  /** Presses keys, one by one. */
  async press(keys: string): Promise<void> {
    for (const key of keys) {
      this.child.stdin.write(key);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  /** Waits until this is seen, behind what was waited for before. @throws Error after 20 seconds */
  async sees(text: string | RegExp): Promise<void> {
    const pattern =
      typeof text === 'string' ? new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)) : text;
    const deadline = Date.now() + 20_000;
    for (;;) {
      const found = pattern.exec(this.#seen.slice(this.#from));
      if (found) {
        this.#from += found.index + found[0].length;
        return;
      }
      if (Date.now() > deadline) throw new Error(`no ${String(text)} behind:\n${this.#seen.slice(this.#from)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits for the end. */
  async end(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return this.child.exitCode;
  }
}

/** Runs a test with a shell that talks to a QEMU for tests. */
async function withShell(use: (shell: TerminalSession, qemu: TestQemu) => Promise<void>): Promise<void> {
  const qemu = new TestQemu();
  const shell = new TerminalSession(qemu.path);
  try {
    await use(shell, qemu);
  } finally {
    shell.child.kill('SIGKILL');
    await shell.end();
    await qemu.close();
  }
}

test('commands, Tab, events above the line, Ctrl-C and Ctrl-D', { skip }, () =>
  withShell(async (shell, qemu) => {
    await shell.sees(/QEMU 10\.0\.\d+ \(.*\) at .*, \d+ commands\.\s+Tab completes, help explains, Ctrl-D leaves\./);
    await shell.sees('qmp> ');

    await shell.press('query-fd\t');
    await shell.sees('query-fdsets ');
    await shell.press('\r');
    await shell.sees('[]');

    await shell.press(`add-fd fd\t`);
    await shell.sees('fdset-id=');
    await shell.press(`3 @${folder}/di\t`);
    await shell.sees('disk.img');
    await shell.press(':rw\r');
    await shell.sees('"fdset-id": 3');
    assert.deepEqual(
      qemu.fdsets.query().map((set) => Number(set['fdset-id'])),
      [3],
    );

    await shell.press('query-ver');
    qemu.emit('STOP');
    await shell.sees(/\d\d:\d\d:\d\d\.\d{3} STOP/);
    await shell.sees('qmp> query-ver');
    await shell.press('\x03');
    await shell.sees('^C');
    await shell.press('\x03');
    await shell.sees('^C (Ctrl-D or exit leaves)');

    await shell.press('remove-fd fdst=3\r');
    await shell.sees(/\r\n {15}\^~~~ there is no fdst: do you mean fdset-id\?/);

    await shell.press('add-fd {"fdset-id":\r');
    await shell.sees('...  ');
    await shell.press('3}\r');
    await shell.sees('error: No file descriptor supplied via SCM_RIGHTS: give the file as @FILE:rw');

    await shell.press('wait NEVER\r');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await shell.press('\x03');
    await shell.sees('given up');

    await shell.press('\x04');
    assert.equal(await shell.end(), 0);
    await qemu.fdsets.remove(3);
    assert.match(readFileSync(join(folder, 'fdset', 'history'), 'utf8'), /^query-fdsets \n/);
  }),
);

test('quit has to be said twice, exit leaves', { skip }, () =>
  withShell(async (shell) => {
    await shell.sees('qmp> ');
    await shell.press('quit\r');
    await shell.sees('this ends the server: enter it once more to do so; exit leaves the shell');
    await shell.press('exit\r');
    assert.equal(await shell.end(), 0);
  }),
);

test('a server that goes away ends the shell with exit code 1', { skip }, () =>
  withShell(async (shell, qemu) => {
    await shell.sees('qmp> ');
    qemu.drop();
    await shell.sees('the QMP server has closed the connection');
    assert.equal(await shell.end(), 1);
  }),
);
