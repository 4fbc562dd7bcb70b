// Records the transcripts anew from any QEMU:
//
//   npm run record -- [--qemu 'PROGRAM [ARG...]'] [--storage-daemon 'PROGRAM [ARG...]'] [--out FOLDER]
//                     [--variant NAME[,NAME]] [--running] [FILTER...]
//
// Without a program both are those of QEMU 10.0 as scripts/fetch-qemu-10.sh unpacks it; with one of them only scenarios
// of its kind are recorded. The files are written to FOLDER, by default where they are read, so that `git diff` shows
// what a QEMU does differently. --variant keeps the recording and writes what differs from it; of several names the last
// is written and those before it are in force. --running starts the emulator without -S. FILTER: part of TOPIC/TITLE.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { qemu10 } from '../qemu-versions.ts';
import { listeningSocket } from './listening-socket.ts';
import { root } from './own-server.ts';
import { type Recorded, recordScenario } from './record.ts';
import { scenariosOf, scriptOf, update } from './transcript-file.ts';
import { formatLine, parseLines } from './transcript-lines.ts';

const transcripts = join(root, 'test', 'fixtures', 'transcripts');

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    qemu: { type: 'string' },
    'storage-daemon': { type: 'string' },
    out: { type: 'string', default: transcripts },
    variant: { type: 'string', default: '' },
    running: { type: 'boolean', default: false },
  },
});

const variants = options.variant.split(',').filter((name) => name !== '');
const commands = commandsOf(options);

mkdirSync(options.out, { recursive: true });
let changed = 0;
let failed = 0;
for (const file of readdirSync(transcripts).filter((name) => name.endsWith('.jsonl'))) {
  const lines = parseLines(readFileSync(join(transcripts, file), 'utf8'));
  for (const scenario of scenariosOf(lines)) {
    const script = scriptOf(basename(file, '.jsonl'), scenario, variants);
    const name = `${script.topic}/${script.title}`;
    const command = commands[script.header.server];
    if (command === undefined || !isWanted(name)) continue;
    const recorded = await attempt(name, recordScenario(script, { command, listen: listeningSocket }));
    if (recorded === undefined) continue;
    const differing = recorded.flatMap((fields, index) => (fields === undefined ? [] : [index + 1]));
    changed += differing.length;
    if (differing.length > 0) console.log(`${name}: other answers in step ${differing.join(', ')}`);
    update(scenario, recorded, variants);
  }
  writeFileSync(join(options.out, file), lines.map(formatLine).join(''));
}
const outcome = changed === 0 ? 'every step is answered as recorded' : `${changed} steps are answered otherwise`;
console.log(failed === 0 ? outcome : `${outcome}; ${failed} scenarios could not be recorded`);
if (failed > 0) process.exitCode = 1;

/** What cannot be recorded keeps its lines. */
async function attempt(name: string, recording: Promise<Recorded[]>): Promise<Recorded[] | undefined> {
  try {
    return await recording;
  } catch (error) {
    failed++;
    console.error(`${name}: not recorded: ${String(error)}`);
    return undefined;
  }
}

function isWanted(name: string): boolean {
  return filters.length === 0 || filters.some((filter) => name.includes(filter));
}

function commandsOf(given: typeof options): Record<'system' | 'storage-daemon', readonly string[] | undefined> {
  const none = given.qemu === undefined && given['storage-daemon'] === undefined;
  const system = none ? qemu10.command('qemu-system-x86_64') : words(given.qemu);
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', ...(given.running ? [] : ['-S'])];
  return {
    system: system && [...system, ...machine],
    'storage-daemon': none ? qemu10.command('qemu-storage-daemon') : words(given['storage-daemon']),
  };
}

/** A program and its first arguments. Scenarios run in folders of their own, so a path is made absolute. */
function words(text: string | undefined): readonly string[] | undefined {
  const [program, ...args] = text?.split(' ').filter((word) => word !== '') ?? [];
  if (program === undefined) return undefined;
  return [program.includes('/') ? resolve(program) : program, ...args];
}
