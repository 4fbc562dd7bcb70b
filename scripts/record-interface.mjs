// Records which commands, events and options qemu-storage-daemon 10.0 has, for docs/compatibility.md.
//
//   node scripts/record-interface.mjs [PROGRAM]     default: what scripts/fetch-qemu-10.sh has unpacked
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { format, resolveConfig } from 'prettier';

import { schemaFacts, tagValues } from './qmp-schema-facts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = process.argv[2] ?? join(root, 'build/qemu-10.0/usr/bin/qemu-storage-daemon');

const schema = await querySchema();
const help = run('--help');
const facts = {
  version: /version (\S+)/.exec(run('--version'))[1],
  options: [...new Set([...help.matchAll(/--[a-z-]+/g)].map(([name]) => name))].sort((a, b) => a.localeCompare(b)),
  ...schemaFacts(schema),
  drivers: tagValues(schema, 'blockdev-add').sort(),
  exports: tagValues(schema, 'block-export-add').sort(),
  objects: listed(run('--object', 'help')),
  chardevs: listed(run('--chardev', 'help')).filter((name) => name !== 'memory'),
};
// The schema names types that the daemon does not have.
facts.commands['object-add'] = facts.commands['object-add'].filter((member) => {
  const type = /^qom-type=(.*)\./.exec(member)?.[1];
  return type === undefined || facts.objects.includes(type);
});
const target = join(root, 'scripts/qemu-10.0-interface.json');
writeFileSync(target, await format(JSON.stringify(facts), { ...(await resolveConfig(target)), filepath: target }));

function run(...args) {
  const { stdout, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw error;
  return stdout;
}

/** The indented lines of a list. */
function listed(text) {
  return [...text.matchAll(/^ {2}(\S+)$/gm)].map(([, name]) => name).sort((a, b) => a.localeCompare(b));
}

async function querySchema() {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-interface-'));
  const path = join(folder, 'qmp.sock');
  const daemon = spawn(program, ['--chardev', `socket,id=c,path=${path},server=on,wait=off`, '--monitor', 'c']);
  try {
    while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 50));
    const socket = connect(path).setEncoding('utf8');
    socket.write('{"execute": "qmp_capabilities"}{"execute": "query-qmp-schema"}');
    let text = '';
    for await (const part of socket) {
      text += part;
      const lines = text.split('\r\n');
      if (lines.length > 3) return JSON.parse(lines[2]).return;
    }
    throw new Error(`${program} has closed the connection`);
  } finally {
    daemon.kill();
    await once(daemon, 'close');
    rmSync(folder, { recursive: true });
  }
}
