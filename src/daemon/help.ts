// What does `fdset storage-daemon --help` say? What each option is for, and how it is written: that from the schemas.
import { driverNames } from '../block/index.ts';
import { PROFILES } from '../monitor/index.ts';
import { synopsis } from '../qapi/index.ts';
import { BlockdevOptions } from '../qapi/schema/blockdev-options.ts';
import { BlockExportOptions, NbdServerOptions } from '../qapi/schema/block-export.ts';
import { MonitorOptions } from '../qapi/schema/control.ts';
import { exportTypes } from './block-exports.ts';
import { sandboxModes } from './sandbox-order.ts';

const WIDTH = 100;
const INDENT = ' '.repeat(6);

interface HelpEntry {
  readonly option: string;
  /** What stands behind the option, one line for each form. */
  readonly forms?: readonly string[];
  readonly purpose: string;
}

function entries(): HelpEntry[] {
  return [
    { option: '-h, --help', purpose: 'show this and exit' },
    { option: '-V, --version', purpose: 'show the version and exit' },
    {
      option: '-T, --trace',
      forms: ['[[enable=]PATTERN][,events=FILE][,file=FILE]'],
      purpose: 'understood, without effect: there are no trace events',
    },
    {
      option: '--blockdev',
      forms: synopsis(BlockdevOptions, { impliedKey: 'driver', variants: driverNames() }),
      purpose: 'add a block node; file=/dev/fdset/N opens what fd set N holds',
    },
    {
      option: '--chardev',
      forms: [
        'socket,id=ID,path=PATH|host=HOST,port=PORT|fd=N[,server=on[,wait=off]][,reconnect-ms=N]',
        'stdio,id=ID[,signal=off]',
        'null,id=ID',
        'ringbuf,id=ID[,size=N]',
      ],
      purpose: 'add a character device; --chardev help lists the kinds',
    },
    {
      option: '--monitor',
      forms: synopsis(MonitorOptions, { impliedKey: 'chardev' }),
      purpose: 'serve QMP on a character device',
    },
    { option: '--nbd-server', forms: synopsis(NbdServerOptions), purpose: 'start the NBD server' },
    {
      option: '--export',
      forms: synopsis(BlockExportOptions, { impliedKey: 'type', variants: exportTypes }),
      purpose: 'export a block node',
    },
    {
      option: '--object',
      forms: ['help', 'TYPE,help', 'TYPE,id=ID[,PROPERTY=VALUE]...'],
      purpose: 'list the types of objects, list the properties of one, make an object',
    },
    { option: '--pidfile', forms: ['PATH'], purpose: 'write the process id when all is set up, remove it at exit' },
    { option: '--daemonize', purpose: 'go into the background; returns when all is set up' },
    {
      option: '--add-fd',
      forms: ['fd=N,set=ID[,opaque=TEXT]'],
      purpose: 'an inherited fd becomes a member of an fd set',
    },
    {
      option: '--compat',
      forms: [PROFILES.map(({ name }) => `qemu-${name}`).join('|')],
      purpose: 'the version to behave as, the first by default; qemu-7.2 is that of a running machine',
    },
    {
      option: '--sandbox',
      forms: [sandboxModes.join('|')],
      purpose:
        'off (default): may open paths; on: everything comes as an fd, held by Landlock and seccomp; ' +
        'try: the protections that there are',
    },
    {
      option: '--allow-uid',
      forms: ['UID'],
      purpose: 'only this user, root and the user who started it may connect; may be repeated',
    },
  ];
}

/** @param program as it was called */
export function storageDaemonHelp(program: string): string {
  const head =
    `Usage: ${program} [OPTION]...\n\n` +
    'Serves disk images to QMP and NBD clients. Options are carried out in the order they stand in, so a thing\n' +
    'has to be made before another one uses it. Where KEY=VALUE stands, a JSON object may.\n\n';
  return head + entries().map(describe).join('\n');
}

function describe({ option, forms = [''], purpose }: HelpEntry): string {
  const lines = forms.map((form) => wrap(`  ${option} ${form}`.trimEnd(), /(?=\[,)|(?<!\[)(?=,)/));
  return `${lines.join('')}${wrap(INDENT + purpose, /(?<= )/)}`;
}

/** Breaks a line where `at` allows it. */
function wrap(line: string, at: RegExp): string {
  const lines = [''];
  for (const piece of line.split(at)) {
    const last = lines.length - 1;
    if (lines[last]!.length + piece.length > WIDTH && lines[last]!.trim() !== '') lines.push(INDENT + piece);
    else lines[last] += piece;
  }
  return lines.map((text) => `${text.trimEnd()}\n`).join('');
}
