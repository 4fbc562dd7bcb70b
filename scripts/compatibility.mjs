// Writes the tables of docs/compatibility.md: every command, event and option of qemu-storage-daemon 10.0, as recorded
// by scripts/record-interface.mjs, and whether it is there. What is there comes from the built program's registries.
//
//   npm run compatibility            writes the page
//   node scripts/compatibility.mjs --print
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

import { chardevBackends } from '../dist/src/chardev/index.js';
import { exportTypes } from '../dist/src/daemon/block-exports.js';
import { InheritedFds } from '../dist/src/daemon/inherited-fds.js';
import { optionDefinitions } from '../dist/src/daemon/options.js';
import { StorageDaemon } from '../dist/src/daemon/storage-daemon.js';
import { driverNames } from '../dist/src/block/index.js';
import { PROFILE_10_0 } from '../dist/src/monitor/index.js';
import { querySchema } from '../dist/src/qapi/index.js';
import { schemaFacts } from './qmp-schema-facts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const page = join(root, 'docs/compatibility.md');
const marks = ['<!-- npm run compatibility writes what follows -->', '<!-- up to here -->'];
const theirs = JSON.parse(readFileSync(join(root, 'scripts/qemu-10.0-interface.json'), 'utf8'));

/** What is understood, and does not do all that it does in QEMU. Lists of kinds come from the registries. */
const limits = {
  'block-export-add': ['TLS and `bitmaps` are not there', '`iothread` is looked up and changes nothing'],
  'blockdev-reopen': ['as `blockdev-add`'],
  'chardev-add': ['no TLS, telnet, websocket, `logfile`'],
  'chardev-change': ['as `chardev-add`; no monitor can be moved'],
  'nbd-server-add': ['`bitmap` is not there'],
  'nbd-server-start': ['`tls-creds` and `addr.type=vsock` are refused', '`tls-authz` changes nothing without TLS'],
  'object-add': ['`iothread` and `main-loop` change nothing', 'no node is throttled by a `throttle-group`'],
  'query-jobs': ['there are no jobs: always empty'],
  '--chardev': ['as `chardev-add`'],
  '--export': ['as `block-export-add`'],
  '--blockdev': ['as `blockdev-add`'],
  '--nbd-server': ['as `nbd-server-start`'],
  '--object': ['as `object-add`'],
  '--trace': ['there are no trace events: each is warned about'],
};

const daemon = new StorageDaemon({
  profile: PROFILE_10_0,
  sandbox: {},
  inheritedFds: new InheritedFds(),
  accepts: () => true,
  report() {},
  onQuit() {},
});
const { commands, events } = daemon.registry;
const ours = schemaFacts(JSON.parse(JSON.stringify(querySchema(commands, events))));
const kinds = {
  'blockdev-add': kindsNote('driver', theirs.drivers, driverNames()),
  'block-export-add': kindsNote('type', theirs.exports, exportTypes),
  'chardev-add': kindsNote('backend', theirs.chardevs, chardevBackends),
  'object-add': kindsNote('type', theirs.objects, daemon.objects.listTypes('user-creatable', false).map(nameOf)),
};
await daemon.stop();

function nameOf({ name }) {
  return name;
}

/** Which kinds there are, of how many. */
function kindsNote(what, all, here) {
  const shared = all.filter((name) => here.includes(name));
  if (shared.length === all.length) return [];
  return [`${shared.length} of ${all.length} ${what}s: ${shared.map((name) => `\`${name}\``).join(', ')}`];
}

/** The row of one thing: yes, partly or no. */
function row(name, members, has) {
  if (has === undefined) return `| \`${name}\` | no | |`;
  const missing = members.filter((member) => !has.includes(member));
  const without = missing.length > 0 ? [`without ${missing.map((member) => `\`${member}\``).join(', ')}`] : [];
  const notes = [...without, ...(kinds[name] ?? []), ...(limits[name] ?? [])];
  return `| \`${name}\` | ${notes.length > 0 ? 'partly' : 'yes'} | ${notes.join('; ')} |`;
}

function table(what, rows) {
  const counts = ['yes', 'partly', 'no'].map(
    (word) => `${rows.filter((line) => line.includes(`| ${word} |`)).length} ${word}`,
  );
  return [`### ${what}: ${counts.join(', ')}`, '', '| | there | what is not |', '| --- | --- | --- |', ...rows, ''];
}

function optionRow(name) {
  const definition = optionDefinitions[name.slice(2)];
  return row(name, [], definition === undefined ? undefined : []);
}

const lines = [
  ...table(
    'Commands',
    Object.entries(theirs.commands).map(([name, members]) => row(name, members, ours.commands[name])),
  ),
  ...table(
    'Events',
    Object.entries(theirs.events).map(([name, members]) => row(name, members, ours.events[name])),
  ),
  ...table('Options', theirs.options.map(optionRow)),
];
const before = readFileSync(page, 'utf8');
const [start, end] = marks.map((mark) => before.indexOf(mark));
if (start < 0 || end < start) throw new Error(`${page} lacks the marks between which the tables stand`);
const text = `${before.slice(0, start)}${marks[0]}\n\n${lines.join('\n')}\n${before.slice(end)}`;
const formatted = await format(text, { ...(await resolveConfig(page)), filepath: page });
if (process.argv.includes('--print')) process.stdout.write(formatted);
else writeFileSync(page, formatted);
