// The programs of QEMU, to compare with: requests over a monitor on stdio, and what start-up prints.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { parseJson, isJsonObject, type JsonObject } from '../../src/json/index.ts';

/** Programs with a monitor, and the arguments that put it on stdio. */
const monitorOnStdio = {
  'qemu-storage-daemon': ['--chardev', 'stdio,id=stdio', '--monitor', 'stdio'],
  'qemu-system-x86_64': ['-machine', 'none', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
};
export type QemuProgram = keyof typeof monitorOnStdio;

/** Why a test that needs the program must be skipped; false if it need not. */
export function isMissing(program: QemuProgram): string | false {
  const { status } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  return status === 0 ? false : `${program} is not installed`;
}

/** The responses to requests, in order, without greeting and events; `command` is the one on PATH unless given. */
export async function ask(
  program: QemuProgram,
  requests: readonly string[],
  [file = program, ...args]: readonly string[] = [],
): Promise<JsonObject[]> {
  const child = spawn(file, [...args, ...monitorOnStdio[program]], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  const closed = once(child, 'close');
  child.stdin.on('error', () => {}); // it may be gone before it has read everything, white space at least
  child.stdin.write(['{"execute": "qmp_capabilities"}', ...requests, '{"execute": "quit"}', ''].join('\n'));
  const output: Buffer[] = [];
  for await (const chunk of child.stdout) output.push(chunk as Buffer);
  child.stdin.destroy();
  await closed;
  const messages = Buffer.concat(output).toString().split('\r\n').filter(Boolean).map(parseJson).filter(isJsonObject);
  return messages.filter((message) => message.has('return') || message.has('error')).slice(1, requests.length + 1);
}

/** What ends a start that the option did not end. */
const anotherFault = {
  'qemu-storage-daemon': ['--monitor', 'chardev=none'],
  'qemu-system-x86_64': ['-machine', 'none', '-nodefaults', '-display', 'none', '-mon', 'chardev=none'],
};

/** The lines that a program prints about an option and its argument when it starts. */
export function startupComplaint(program: QemuProgram, option: string, argument: string): string[] {
  const args = [option, argument, ...anotherFault[program]];
  const { stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  const prefix = `${program}: ${option} ${argument}: `;
  return stderr.split('\n').map((line) => (line.startsWith(prefix) ? line.slice(prefix.length) : line));
}
