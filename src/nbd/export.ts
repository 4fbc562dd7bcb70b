// What is an export? A disk under a name, the flags that clients are told, and the clients that use it.
//
//   open ──close()──▶ shutting down ──last client gone, its requests over──▶ closed
import { FdsetError } from '../errors.ts';
import type { ExportBackend } from './backend.ts';
import {
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_CACHE,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
  NBD_MAX_BUFFER_SIZE,
  NBD_MAX_STRING_SIZE,
} from './constants.ts';
import type { ExportFacts } from './handshake.ts';
import type { BlockSizes } from './option-replies.ts';
import type { PerformTarget } from './perform.ts';

/** What an export is made from. */
export interface NbdExportOptions {
  /** The id of the block export. Default: the name. */
  readonly id?: string | undefined;
  /** What clients ask for; `''` is the default export. At most 4096 bytes. */
  readonly name: string;
  /** At most 4096 bytes. */
  readonly description?: string | undefined;
  /** Default: false. */
  readonly writable?: boolean | undefined;
  /** Stays the caller's: to be detached once the export is closed. */
  readonly backend: ExportBackend;
}

/** `safe` refuses while clients are connected, `hard` disconnects them. Source: QEMU's BlockExportRemoveMode. */
export type CloseMode = 'safe' | 'hard';

/** A connection in its transmission phase. */
export interface ExportClient {
  disconnect(reason: string): void;
}

/** What an export needs to know of its server. */
export interface ExportHome {
  /** Several connections see each other's flushed writes; not said where only one can be. */
  readonly multiConn: boolean;
  /** How long a closed export waits for requests that its disk does not answer, in milliseconds. */
  readonly requestPatienceMs: number;
  /** The export takes no new clients from now on. */
  forget(closing: NbdExport): void;
}

/** One export of an `NbdServer`; made by `addExport`. */
export class NbdExport implements ExportFacts, PerformTarget {
  readonly id: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly writable: boolean;
  readonly backend: ExportBackend;
  /** In bytes, as it was when the export was made: an NBD client never learns of another. */
  readonly size: number;
  /** NBD_FLAG_… without NBD_FLAG_SEND_DF. */
  readonly flags: number;
  readonly blockSizes: BlockSizes;
  readonly #home: ExportHome;
  readonly #clients = new Set<ExportClient>();
  #requestsInFlight = 0;
  #closing: Promise<void> | undefined;
  #onQuiet: (() => void) | undefined;

  /** @throws FdsetError where name or description are too long, or a read-only disk should be writable */
  constructor(options: NbdExportOptions, home: ExportHome) {
    checkOptions(options);
    this.id = options.id ?? options.name;
    this.name = options.name;
    this.description = options.description;
    this.writable = options.writable ?? false;
    this.backend = options.backend;
    this.size = options.backend.length;
    this.flags = transmissionFlags(this.writable, home.multiConn);
    this.blockSizes = blockSizesOf(options.backend);
    this.#home = home;
  }

  /** How many clients are connected. */
  get clients(): number {
    return this.#clients.size;
  }

  /** Requests that are with the disk. Above 0 on a closed export: the disk hangs, and still holds buffers of ours. */
  get requestsInFlight(): number {
    return this.#requestsInFlight;
  }

  /** `close()` was called: there are no new clients. */
  get shuttingDown(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Removes the export from its server; the name is free at once. Resolves when the last client is gone and its
   * requests are over. A disk that does not answer is waited for as long as `requestPatienceMs` says and no longer: the
   * clients are disconnected all the same, and `requestsInFlight` tells.
   *
   * Closing twice is waiting twice; a second call with `hard` disconnects the clients that a first one let be.
   * @throws FdsetError `export 'ID' still in use` for mode `safe` with clients
   */
  async close(mode: CloseMode = 'safe'): Promise<void> {
    if (mode === 'safe' && this.#closing === undefined && this.#clients.size > 0) {
      throw new FdsetError('ERR_FDSET_EXPORT_IN_USE', `export '${this.id}' still in use`);
    }
    this.#closing ??= this.#shutDown();
    if (mode === 'hard') for (const client of this.#clients) client.disconnect(`export '${this.id}' was removed`);
    await this.#closing;
  }

  /** A connection has chosen this export. For connections only. */
  addClient(client: ExportClient): void {
    this.#clients.add(client);
  }

  /** A connection is gone. For connections only. */
  removeClient(client: ExportClient): void {
    this.#clients.delete(client);
    this.#lookWhetherQuiet();
  }

  /** For the data path only. */
  requestStarted(): void {
    this.#requestsInFlight++;
  }

  /** For the data path only. */
  requestEnded(): void {
    this.#requestsInFlight--;
    this.#lookWhetherQuiet();
  }

  #shutDown(): Promise<void> {
    this.#home.forget(this);
    return new Promise((resolve) => {
      let patience: NodeJS.Timeout | undefined;
      const done = () => {
        clearTimeout(patience);
        this.#onQuiet = undefined;
        resolve();
      };
      this.#onQuiet = () => {
        if (this.#clients.size > 0) return;
        if (this.#requestsInFlight === 0) done();
        else patience ??= setTimeout(done, this.#home.requestPatienceMs);
      };
      this.#onQuiet();
    });
  }

  #lookWhetherQuiet(): void {
    this.#onQuiet?.();
  }
}

/** In QEMU's order. */
function checkOptions({ name, description = '', writable, backend }: NbdExportOptions): void {
  if (writable === true && backend.readOnly) {
    throw new FdsetError('ERR_FDSET_READ_ONLY', 'Cannot export read-only node as writable');
  }
  if (Buffer.byteLength(name) > NBD_MAX_STRING_SIZE) {
    throw new FdsetError('ERR_FDSET_EXPORT_NAME', `export name '${name}' too long`);
  }
  if (Buffer.byteLength(description) > NBD_MAX_STRING_SIZE) {
    throw new FdsetError('ERR_FDSET_EXPORT_DESCRIPTION', `description '${description}' too long`);
  }
}

/** Source: recorded from QEMU 10.0, storage-daemon.md section 5: 0x50f read-only, 0xd6d writable. */
function transmissionFlags(writable: boolean, multiConn: boolean): number {
  const always = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_CACHE;
  const byMode = writable
    ? NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO
    : NBD_FLAG_READ_ONLY;
  return always | byMode | (multiConn ? NBD_FLAG_CAN_MULTI_CONN : 0);
}

/** Source: proto.md, "Block size constraints"; the preferred size is at least 4096 bytes as in QEMU. */
function blockSizesOf({ limits }: ExportBackend): BlockSizes {
  const minimum = Math.max(1, limits.requestAlignment);
  const largest = limits.maxTransfer > 0 ? Math.min(limits.maxTransfer, NBD_MAX_BUFFER_SIZE) : NBD_MAX_BUFFER_SIZE;
  const maximum = largest - (largest % minimum);
  const preferred = Math.min(maximum, Math.max(4096, minimum, powerOfTwoUpTo(limits.optimalTransfer)));
  return { minimum, preferred, maximum };
}

/** The largest power of two not above `value`, at most 2^25; 0 for 0. */
function powerOfTwoUpTo(value: number): number {
  return value < 1 ? 0 : 2 ** Math.min(25, Math.floor(Math.log2(value)));
}
