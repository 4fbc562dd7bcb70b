// What do `file` and `host_device` share? An fd that follows the node's options and users (read-only while nobody writes,
// image locks), and is closed when the last system call on it is back.
import { fstat, O } from '../../addon/index.ts';
import type { OpenContext } from '../driver.ts';
import { ImageLocks } from '../image-locks.ts';
import {
  ProtocolNode,
  roundUpToSector,
  type Extent,
  type ImageFacts,
  type IoLimits,
  type JsonMembers,
  type NodeClosing,
} from '../node.ts';
import { optionError, type BlockdevOptions } from '../options.ts';
import { combineClaims, isWriter, type PermissionClaim } from '../permissions.ts';
import { FileSource, isBlockDevice, openFlags, type FileKind, type Opening } from './file-source.ts';
import { PosixIo } from './posix-io.ts';

const mostTransfer = 32 * 1024 * 1024;

/** @throws FdsetError for options that QEMU refuses before it looks at the node's name. */
export function checkFileOptions(options: BlockdevOptions): void {
  if (options.filename === undefined || options.filename === '') {
    throw optionError(`The '${options.driver}' block driver requires a file name`);
  }
}

/**
 * Opens a node on a file.
 * @throws FdsetError with QEMU's text, or after `openTimeoutMs` that the file does not answer.
 */
export async function openFilePosix(
  context: OpenContext,
  options: BlockdevOptions,
  kind: FileKind,
): Promise<FilePosixNode> {
  if (options['pr-manager'] !== undefined) {
    throw optionError(`No persistent reservation manager with id '${options['pr-manager']}'`);
  }
  const source = new FileSource(context, options.filename ?? '', kind);
  const opening = await source.open(openFlags(context.options, false));
  if (options.aio === 'native' && !context.options.direct) {
    opening.file.retire();
    throw optionError('aio=native was specified, but it requires cache.direct=on, which was not specified.');
  }
  return new FilePosixNode(context, source, opening);
}

/** A node on a file: one fd at a time. */
export class FilePosixNode extends ProtocolNode {
  readonly io: PosixIo;
  readonly #context: OpenContext;
  readonly #source: FileSource;
  #opening: Opening;
  #size: number;
  #locks: ImageLocks;
  /** The last change of permissions; the next one begins when it is done. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;
  #actualSize: number | undefined;
  #measuring: Promise<void> | undefined;

  constructor(context: OpenContext, source: FileSource, opening: Opening) {
    super(context);
    this.#context = context;
    this.#source = source;
    this.#opening = opening;
    this.#size = opening.size;
    this.#locks = new ImageLocks(opening.file);
    this.io = new PosixIo(opening, {
      storage: source.kind.storage(opening.stat),
      requestsPerNode: context.limits.requestsPerNode,
      noFlush: () => this.options.noFlush,
      length: () => this.length,
    });
  }

  /** A file whose last sector is not whole reads as if zeros followed. */
  get length(): number {
    return roundUpToSector(this.#size);
  }

  get limits(): IoLimits {
    const { blockSize } = this.#opening;
    return { requestAlignment: blockSize, optimalTransfer: Math.max(4096, blockSize), maxTransfer: mostTransfer };
  }

  /** The magic number of the file system, as statfs(2) lists them. */
  get fileSystem(): number {
    return this.#opening.fileSystem;
  }

  get exactFilename(): string {
    return this.#source.filename;
  }

  describe(): JsonMembers {
    return { driver: this.driver, filename: this.#source.filename };
  }

  map(offset: number, length: number): Extent {
    return { kind: 'protocol', node: this, offset, length };
  }

  /** What fstat(2) says, or said last where the file does not answer in time. */
  async actualSize(): Promise<number | undefined> {
    this.#measuring ??= this.#measure().finally(() => (this.#measuring = undefined));
    await this.#context.patience.waitAtMost(this.#measuring, this.#context.limits.queryTimeoutMs);
    return this.#actualSize;
  }

  imageInfo(): ImageFacts {
    return this.#source.kind.imageInfo();
  }

  async resize(length: number): Promise<void> {
    await this.io.change((fd) => this.#source.kind.resize(fd, length, this.#size));
    if (!isBlockDevice(this.#opening.stat)) this.#size = length;
  }

  async adapt(undo: () => void, reopening = false): Promise<void> {
    const { patience, limits } = this.#context;
    const turn = this.#turn.then(() => this.#adaptNow(undo, reopening));
    this.#turn = turn.catch(() => undefined);
    await patience.wait(turn, {
      timeoutMs: limits.openTimeoutMs,
      late: () => undefined,
      timedOut: () => this.#source.noAnswer(),
    });
  }

  close(): NodeClosing {
    this.#closed = true;
    this.io.abandonAll();
    const hung = this.io.inFlight;
    const { file } = this.#opening;
    if (hung > 0) this.#context.patience.giveUp(file.closed, hung);
    void this.#turn.then(() => this.#locks.release()).then(() => this.#opening.file.retire());
    return { closed: file.closed, hung };
  }

  async #adaptNow(undo: () => void, reopening: boolean): Promise<void> {
    if (this.#closed) return;
    const { claim } = this;
    const locked = this.given.locking === 'off' ? combineClaims([]) : claim;
    try {
      const next = await this.#reopen(isWriter(claim.permissions), reopening);
      if (next === undefined) await this.#moveLocks(locked);
      else await this.#moveTo(next, locked);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** The file opened anew, where the options and users now ask for other flags. */
  async #reopen(hasWriter: boolean, reopening: boolean): Promise<Opening | undefined> {
    const flags = openFlags(this.options, hasWriter);
    if (flags === this.#opening.flags) return undefined;
    const { readOnly, autoReadOnly } = this.options;
    const isOnlyDowngrade = ((flags ^ this.#opening.flags) & ~O.O_ACCMODE) === 0 && autoReadOnly && !readOnly;
    try {
      return await this.#source.open(flags);
    } catch (error) {
      // A file that cannot be opened for reading any more stays as it is, fit for readers and for writers to come.
      if (isOnlyDowngrade && !hasWriter && !reopening) return undefined;
      throw error;
    }
  }

  async #moveLocks(claim: PermissionClaim): Promise<void> {
    await this.#locks.acquire(claim);
    await this.#locks.release(claim);
  }

  /** Conflicts are looked for on the old file: on the new one our own locks would look like somebody else's. */
  async #moveTo(next: Opening, claim: PermissionClaim): Promise<void> {
    const old = this.#opening;
    const locks = new ImageLocks(next.file);
    try {
      await this.#locks.acquire(claim);
      await locks.copy(claim);
    } catch (error) {
      await locks.release();
      next.file.retire();
      throw error;
    }
    await this.#locks.release();
    this.#opening = next;
    this.#locks = locks;
    this.io.open = next;
    old.file.retire();
  }

  async #measure(): Promise<void> {
    try {
      const { blocks } = await this.#opening.file.use(fstat);
      this.#actualSize = blocks * 512;
    } catch {
      // What was known before stays.
    }
  }
}
