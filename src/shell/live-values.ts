// Which values has the server for an argument at this moment? The names of its nodes, jobs, exports, sets, devices. QEMU's
// schema calls them all strings, so this goes by the names of commands and keys. Asking must not disturb a running machine:
// so no qom-list-types for the names of drivers, as QEMU would load every module that it has.
import type { QmpClient } from '../client/index.ts';
import type { LiveValues } from './complete.ts';

interface Source {
  readonly command: RegExp;
  readonly key: RegExp;
  readonly query: string;
  readonly args?: Readonly<Record<string, string | boolean>>;
  /** The members that are wanted. */
  readonly members: readonly string[];
}

const nodes = { query: 'query-named-block-nodes', args: { flat: true }, members: ['node-name'] };

const sources: readonly Source[] = [
  { command: /./, key: /^fdset-id$/, query: 'query-fdsets', members: ['fdset-id'] },
  { command: /^(?:block-)?job-/, key: /^(?:id|device)$/, query: 'query-jobs', members: ['id'] },
  { command: /^block-export-del$/, key: /^id$/, query: 'query-block-exports', members: ['id'] },
  { command: /^chardev-/, key: /^id$/, query: 'query-chardev', members: ['label'] },
  { command: /^(?:query-)?iothread|./, key: /^iothread$/, query: 'query-iothreads', members: ['id'] },
  { command: /^(?:blockdev-del|blockdev-reopen|block_resize)$/, key: /(?:^|\.)node-name$/, ...nodes },
  { command: /^block/, key: /(?:^|\.)(?:node|target|overlay|base-node|top-node|file|backing|source)$/, ...nodes },
  { command: /^(?:block|drive|eject|transaction)/, key: /(?:^|\.)device$/, ...nodes },
  { command: /./, key: /(?:^|\.)(?:node-name|drive)$/, ...nodes },
  {
    command: /^device_del$/,
    key: /^id$/,
    query: 'qom-list',
    args: { path: '/machine/peripheral' },
    members: ['name'],
  },
  { command: /^object-del$/, key: /^id$/, query: 'qom-list', args: { path: '/objects' }, members: ['name'] },
];

/** How long a person waits for a Tab, in milliseconds. */
const patience = 1000;

/** Values from a server; with an empty key, the keys that a command takes beyond its schema. */
export function liveValues(client: QmpClient): LiveValues {
  return async (command, key, given) => {
    if (key === '') return command === 'device_add' ? deviceProperties(client, given.get('driver')) : [];
    const source = sources.find((each) => each.command.test(command) && each.key.test(key));
    return source === undefined ? [] : ask(client, source.query, source.args, source.members);
  };
}

function deviceProperties(client: QmpClient, driver: string | undefined): Promise<string[]> {
  if (driver === undefined) return Promise.resolve([]);
  return ask(client, 'device-list-properties', { typename: driver }, ['name']);
}

async function ask(
  client: QmpClient,
  query: string,
  args: Readonly<Record<string, string | boolean>> | undefined,
  members: readonly string[],
): Promise<string[]> {
  try {
    const answer = await client.execute(query, args, { timeoutMs: patience });
    if (!Array.isArray(answer)) return [];
    const values = (answer as Record<string, unknown>[]).flatMap((entry) => members.map((name) => entry[name]));
    const texts = values.filter((value) => typeof value === 'string' || typeof value === 'number').map(String);
    return [...new Set(texts)].filter((text) => text !== '' && text !== 'type').sort();
  } catch {
    return []; // a server without that query; the line itself is not affected
  }
}
