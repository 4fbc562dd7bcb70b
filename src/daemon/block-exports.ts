// Which nodes are exported, and under which ids? The table of block exports and the one NBD server of the process, as
// QEMU's block/export/export.c and blockdev-nbd.c. Order of checks and of events: docs/reference/storage-daemon.md
// section 5.
import type { BlockBackend, BlockGraph } from '../block/index.ts';
import { FdsetError } from '../errors.ts';
import type { OwnedFd } from '../fds/index.ts';
import type { MonitorEvents } from '../monitor/index.ts';
import { type NbdExport, NbdServer, type NbdServerOptions } from '../nbd/index.ts';
import { isIdentifier } from '../qapi/index.ts';
import { blockExportDeleted, type BlockExportInfo, type BlockExportOptions } from '../qapi/schema/block-export.ts';
import type { Listener } from '../socket/index.ts';

/** The longest export name and description in the NBD protocol, in bytes. */
const MAX_NBD_STRING = 4096;

/** The types of exports that there are. */
export const exportTypes = ['nbd'] as const;

interface ExportEntry {
  readonly id: string;
  readonly nodeName: string;
  readonly nbd: NbdExport;
  readonly backend: BlockBackend;
  /** Settles when the export is gone and its event has been sent. */
  gone: Promise<void> | undefined;
}

export interface BlockExportsOptions {
  /** Whether whoever has connected to the NBD server may stay. The fd is lent. */
  readonly accepts: (connection: OwnedFd) => boolean;
  /** Whether there is an object iothread with this id. Requests are carried out as without it. */
  readonly hasIothread: (id: string) => boolean;
}

export class BlockExports {
  readonly #graph: BlockGraph;
  readonly #events: MonitorEvents;
  readonly #accepts: BlockExportsOptions['accepts'];
  readonly #hasIothread: BlockExportsOptions['hasIothread'];
  /** By id, oldest first. */
  readonly #exports = new Map<string, ExportEntry>();
  #server: NbdServer | undefined;

  constructor(graph: BlockGraph, events: MonitorEvents, { accepts, hasIothread }: BlockExportsOptions) {
    this.#graph = graph;
    this.#events = events;
    this.#accepts = accepts;
    this.#hasIothread = hasIothread;
  }

  /** @throws FdsetError where there is a server already */
  checkNoServer(): void {
    if (this.#server) throw new FdsetError('ERR_FDSET_NBD_SERVER', 'NBD server already running');
  }

  /** Serves on `listener`, which it owns from now on; it has to be paused. */
  startServer(listener: Listener, options: NbdServerOptions): void {
    const server = new NbdServer(options);
    server.listen(listener);
    listener.onConnection = (fd) => (this.#accepts(fd) ? server.accept(fd) : fd.close());
    listener.resume();
    this.#server = server;
  }

  /**
   * Ends every export and the server; clients are disconnected.
   *
   * @throws FdsetError where there is none
   */
  async stopServer(): Promise<void> {
    const server = this.#runningServer();
    this.#server = undefined;
    await Promise.all([server.stop(), ...[...this.#exports.values()].map((entry) => this.#close(entry, 'hard'))]);
  }

  /** Ends the exports and the server, where there is one: for the end of the program. */
  async shutDown(): Promise<void> {
    if (this.#server) await this.stopServer();
  }

  /** @throws FdsetError with QEMU's text; then nothing has changed */
  async add(options: BlockExportOptions): Promise<void> {
    const { id, 'node-name': nodeName, writable = false } = options;
    if (!isIdentifier(id)) throw exportError('Invalid block export id');
    if (this.#exports.has(id)) throw exportError(`Block export id '${id}' is already in use`);
    const node = this.#graph.find(undefined, nodeName);
    if (writable && node.readOnly) throw exportError('Cannot export read-only node as writable');
    const { iothread, type } = options;
    if (iothread !== undefined && !this.#hasIothread(iothread)) throw exportError(`iothread "${iothread}" not found`);
    if (options.type !== 'nbd') {
      throw exportError(`No driver found for the requested export type: '${type}' is not there, only 'nbd' is`);
    }
    await this.#addNbd({ ...options, name: options.name ?? nodeName, writable });
  }

  /** The older command: the id is the export's name. */
  async addByDevice(device: string, options: Partial<Omit<NbdOptions, 'type' | 'id' | 'node-name'>>): Promise<void> {
    this.#runningServer();
    const { nodeName, readOnly } = this.#graph.find(device, device);
    const name = options.name ?? device;
    // Asked for writing of a read-only node, this command exports it read-only.
    const writable = (options.writable ?? false) && !readOnly;
    await this.add({ type: 'nbd', id: name, 'node-name': nodeName, ...options, name, writable });
  }

  async #addNbd(options: NbdOptions & { name: string; writable: boolean }): Promise<void> {
    const server = this.#runningServer();
    const { id, 'node-name': nodeName, name, description, writable } = options;
    if (Buffer.byteLength(name) > MAX_NBD_STRING) throw exportError(`export name '${name}' too long`);
    if (description !== undefined && Buffer.byteLength(description) > MAX_NBD_STRING) {
      throw exportError(`description '${description}' too long`);
    }
    if (server.find(name)) throw exportError(`NBD server already has export named '${name}'`);
    const bitmap = options.bitmaps?.[0];
    if (bitmap !== undefined) throw exportError(`Bitmap '${bitmapName(bitmap)}' is not found`);
    const backend = await this.#graph.attach(nodeName, { writable });
    try {
      const nbd = server.addExport({ id, name, description, writable, backend });
      this.#exports.set(id, { id, nodeName, nbd, backend, gone: undefined });
    } catch (error) {
      await backend.detach();
      throw error;
    }
  }

  /**
   * Ends an export: `safe` only without clients, `hard` disconnects them and does not wait for them.
   *
   * @throws FdsetError with QEMU's text
   */
  async delete(id: string, mode: 'safe' | 'hard'): Promise<void> {
    const entry = this.#exports.get(id);
    if (!entry) throw exportError(`Export '${id}' is not found`);
    const { clients } = entry.nbd;
    if (mode === 'safe' && clients > 0) throw exportError(`export '${id}' still in use`);
    const gone = this.#close(entry, mode);
    // Where nobody has to leave first, the event comes before the reply.
    if (clients === 0) await gone;
  }

  /** Newest first. */
  query(): BlockExportInfo[] {
    return [...this.#exports.values()].toReversed().map(({ id, nodeName, nbd }) => ({
      id,
      type: 'nbd' as const,
      'node-name': nodeName,
      'shutting-down': nbd.shuttingDown,
    }));
  }

  /** The ids of the exports above each file, by the name of the file's holder, for the ledger. */
  byFileHolder(): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const { id, nodeName } of this.#exports.values()) {
      for (const holder of this.#graph.fileHolders(nodeName)) found.set(holder, [...(found.get(holder) ?? []), id]);
    }
    return found;
  }

  #close(entry: ExportEntry, mode: 'safe' | 'hard'): Promise<void> {
    entry.gone ??= this.#finish(entry, mode);
    return entry.gone;
  }

  async #finish(entry: ExportEntry, mode: 'safe' | 'hard'): Promise<void> {
    // Side by side: each waits for the same requests, and a file that does not answer is waited for once. The clients
    // are gone by the time that the backend refuses new requests.
    await Promise.all([entry.nbd.close(mode), entry.backend.detach()]);
    this.#exports.delete(entry.id);
    this.#events.broadcast(blockExportDeleted, { id: entry.id });
  }

  #runningServer(): NbdServer {
    if (!this.#server) throw new FdsetError('ERR_FDSET_NBD_SERVER', 'NBD server not running');
    return this.#server;
  }
}

type NbdOptions = Extract<BlockExportOptions, { type: 'nbd' }>;

function bitmapName(bitmap: string | { readonly name: string }): string {
  return typeof bitmap === 'string' ? bitmap : bitmap.name;
}

function exportError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_EXPORT', message);
}
