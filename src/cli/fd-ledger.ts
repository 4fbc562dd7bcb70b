// Which files has a server in its fd sets, and who uses them? fdset's own monitor tells in x-query-fds; for QEMU it is put
// together from query-fdsets, query-named-block-nodes, query-block-exports and what /proc tells of the process.
import { type QmpClient, QmpError } from '../client/index.ts';
import { parseDevFdset } from '../fds/index.ts';
import { type ProcessFile, processFiles } from './process-files.ts';

type Id = number | bigint;

/** A set as x-query-fds tells it; what is not known of another server is absent. */
export interface LedgerSet {
  readonly 'fdset-id': Id;
  readonly fds: readonly LedgerFd[];
  readonly dups: readonly LedgerDup[];
}

export interface LedgerFile {
  readonly access?: string | undefined;
  readonly path?: string | undefined;
  readonly size?: Id | undefined;
}

export interface LedgerFd extends LedgerFile {
  readonly fd: number;
  readonly opaque?: string | undefined;
  readonly 'added-by'?: LedgerOrigin | undefined;
}

export interface LedgerOrigin {
  readonly monitor?: string;
  readonly 'command-line'?: boolean;
  readonly pid?: number;
  readonly command?: string;
}

export interface LedgerDup extends LedgerFile {
  readonly fd?: number | undefined;
  readonly holder: string;
  readonly filename: string;
  readonly exports: readonly string[];
}

/** The ledger of any server that has fd sets. */
export async function readLedger(client: QmpClient): Promise<LedgerSet[]> {
  const told = await optionally(client, 'x-query-fds');
  if (told !== undefined) return told as LedgerSet[];
  const fdsets = (await client.execute('query-fdsets')) as QemuFdset[];
  const nodes = (await optionally(client, 'query-named-block-nodes')) as QemuNode[] | undefined;
  const exports = (await optionally(client, 'query-block-exports')) as QemuExport[] | undefined;
  const { peer } = client;
  return joinLedger(fdsets, nodes ?? [], exports ?? [], peer === undefined ? new Map() : processFiles(peer.pid));
}

/** What a command returns; undefined where the server does not have it. */
async function optionally(client: QmpClient, command: string): Promise<unknown> {
  try {
    return await client.execute(command);
  } catch (error) {
    if (error instanceof QmpError && error.class === 'CommandNotFound') return undefined;
    throw error;
  }
}

interface QemuFdset {
  readonly 'fdset-id': Id;
  readonly fds: readonly { readonly fd: number; readonly opaque?: string }[];
}

interface QemuNode {
  readonly 'node-name': string;
  readonly drv: string;
  readonly file: string;
  readonly ro: boolean;
}

interface QemuExport {
  readonly id: string;
  readonly 'node-name': string;
}

/** Drivers that open the file of their name; a format above one shows the same name. */
const opensFile = new Set(['file', 'host_device', 'host_cdrom']);

/** The ledger from what QEMU tells, and the open files of its process; these are left out where they do not fit. */
export function joinLedger(
  fdsets: readonly QemuFdset[],
  nodes: readonly QemuNode[],
  exports: readonly QemuExport[],
  files: ReadonlyMap<number, ProcessFile>,
): LedgerSet[] {
  const members = new Set(fdsets.flatMap(({ fds }) => fds.map(({ fd }) => fd)));
  // Whoever listened may have been another process, which has handed the socket on.
  const known = [...members].every((fd) => files.has(fd)) ? files : new Map<number, ProcessFile>();
  const others = [...known.values()].filter(({ fd }) => !members.has(fd));
  return fdsets.map(({ 'fdset-id': id, fds }) => {
    const held = new Set(fds.map(({ fd }) => known.get(fd)?.file));
    const candidates = others.filter(({ file }) => held.has(file));
    const holders = nodes.filter(({ drv, file }) => opensFile.has(drv) && setOf(file) === Number(id));
    return {
      'fdset-id': id,
      fds: fds.map(({ fd, opaque }) => ({ fd, opaque, ...shown(known.get(fd)) })),
      dups: holders.map((node) => describeDup(node, holders, candidates, exports)),
    };
  });
}

function setOf(filename: string): number | undefined {
  try {
    return parseDevFdset(filename);
  } catch {
    return undefined;
  }
}

function shown(file: ProcessFile | undefined): LedgerFile {
  return file === undefined ? {} : { access: file.access, path: file.path };
}

/** Which fd is a node's is told by nothing but that there is no other that it could be. */
function describeDup(
  node: QemuNode,
  holders: readonly QemuNode[],
  candidates: readonly ProcessFile[],
  exports: readonly QemuExport[],
): LedgerDup {
  const name = node['node-name'];
  const access = node.ro ? 'read-only' : 'read-write';
  const fitting = candidates.filter((file) => file.access === access);
  const rivals = holders.filter(({ ro }) => ro === node.ro);
  const file = fitting.length === 1 && rivals.length === 1 ? fitting[0] : undefined;
  return {
    ...(file && { fd: file.fd, ...shown(file) }),
    holder: `block node '${name}'`,
    filename: node.file,
    exports: exports.filter((each) => each['node-name'] === name).map(({ id }) => id),
  };
}
