// Objects over QMP: the same commands to qemu-storage-daemon 10.0 and to ours, and the same answers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { QmpClient, QmpError } from '../../src/client/index.ts';
import { parseJson, type JsonObject } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10 } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();
const folder = temporaryFolder();
const main = fileURLToPath(new URL('../../src/cli/storage-daemon-main.js', import.meta.url));
const fixture = new URL('../../../test/daemon/object-commands.txt', import.meta.url);

/** Paragraphs, each for a fresh daemon; a line is a command and its arguments. */
const paragraphs = readFileSync(fixture, 'utf8').trim().split('\n\n');

suite('objects', { skip: qemu10.missing }, () => {
  for (const [index, paragraph] of paragraphs.entries()) {
    const commands = paragraph.split('\n').filter((line) => !line.startsWith('#'));
    test(`after ${commands[0]}`, async () => {
      const theirs = await answers(qemu10.command('qemu-storage-daemon'), `theirs-${index}`, commands);
      assert.deepEqual(await answers([process.execPath, main], `ours-${index}`, commands), theirs);
    });
  }
});

async function answers(command: readonly string[], name: string, commands: readonly string[]): Promise<unknown[]> {
  const socket = join(folder, name);
  const [program, ...args] = command;
  const chardev = `socket,id=c,path=${socket},server=on,wait=off`;
  const daemon = spawn(program!, [...args, '--chardev', chardev, '--monitor', 'c'], { stdio: 'ignore' });
  try {
    const client = await connect(socket);
    const results = [];
    for (const line of commands) results.push([line, await answer(client, line)]);
    await client.close();
    return results;
  } finally {
    daemon.kill();
    await once(daemon, 'close');
  }
}

/** Waits until somebody listens: the file is there a moment before. */
async function connect(socket: string): Promise<QmpClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await QmpClient.connect(socket);
    } catch (error) {
      if (tries === 1000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function answer(client: QmpClient, line: string): Promise<unknown> {
  const space = line.indexOf(' ');
  const name = space < 0 ? line : line.slice(0, space);
  const args = (space < 0 ? new Map() : parseJson(line.slice(space))) as JsonObject;
  try {
    return await client.execute(name, Object.fromEntries(args));
  } catch (error) {
    if (error instanceof QmpError) return [error.class, error.message];
    throw error;
  }
}
