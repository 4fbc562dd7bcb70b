// What do `file` and `host_device` share? An fd that is opened in bounded time, follows its users (read-only while nobody
// writes, image locks), and is closed when the last system call on it is back.
import {
  blockDeviceGeometry,
  directIoAlignment,
  fsType,
  fstat,
  O,
  strerror,
  SystemError,
  type FileStatus,
} from '../../addon/index.ts';
import { FdsetError } from '../../errors.ts';
import type { OpenContext } from '../driver.ts';
import { HeldFile } from '../held-file.ts';
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
import { PosixIo, type Storage } from './posix-io.ts';

/** What differs between the drivers on files. */
export interface FileKind {
  /** @throws FdsetError with QEMU's text where the file is of another kind. */
  check(filename: string, stat: FileStatus): void;
  /** Bytes. */
  size(fd: number, stat: FileStatus): Promise<number>;
  storage(stat: FileStatus): Storage;
  /** @throws FdsetError with QEMU's text */
  resize(fd: number, length: number, current: number): Promise<void>;
  imageInfo(): ImageFacts;
}

/** An open file and what was found out about it. */
interface Opening {
  readonly file: HeldFile;
  readonly stat: FileStatus;
  readonly size: number;
  /** For requests, 1 without O_DIRECT. */
  readonly alignment: number;
  /** What a request should be aligned to to be fast. */
  readonly blockSize: number;
  readonly fileSystem: number;
}

const mostTransfer = 32 * 1024 * 1024;
const fileTypeMask = 0o170000;
const blockDeviceType = 0o060000;

/** Whether `stat` is of a block device. */
export function isBlockDevice(stat: FileStatus): boolean {
  return (stat.mode & fileTypeMask) === blockDeviceType;
}

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
  const source = new FileSource(context, options, kind);
  const flags = source.flagsFor(false);
  const opening = await source.open(flags);
  if (options.aio === 'native' && !context.options.direct) {
    opening.file.retire();
    throw optionError('aio=native was specified, but it requires cache.direct=on, which was not specified.');
  }
  return new FilePosixNode(context, options, source, opening, flags);
}

/** Opens the file of one node, as often as the node asks. */
class FileSource {
  readonly filename: string;
  readonly kind: FileKind;
  readonly #context: OpenContext;

  constructor(context: OpenContext, options: BlockdevOptions, kind: FileKind) {
    this.filename = options.filename ?? '';
    this.kind = kind;
    this.#context = context;
  }

  /** The flags of open(2) that the node asks for with and without a writer. Source: fdset.md §7. */
  flagsFor(hasWriter: boolean): number {
    const { readOnly, autoReadOnly, direct } = this.#context.options;
    const mode = readOnly || (autoReadOnly && !hasWriter) ? O.O_RDONLY : O.O_RDWR;
    return mode | (direct ? O.O_DIRECT : 0);
  }

  async open(flags: number): Promise<Opening> {
    const { patience, limits } = this.#context;
    patience.checkRoom(`Could not open '${this.filename}'`);
    return patience.wait(this.#open(flags), {
      timeoutMs: limits.openTimeoutMs,
      late: (opening) => opening.file.retire(),
      timedOut: () => noAnswer(this.filename, limits.openTimeoutMs),
    });
  }

  async #open(flags: number): Promise<Opening> {
    const opened = await this.#context.openFile(this.filename, flags, `block node '${this.#context.nodeName}'`);
    const file = new HeldFile(opened);
    try {
      return await file.use((fd) => this.#inspect(fd, file));
    } catch (error) {
      file.retire();
      throw error instanceof SystemError ? sizeError(error) : error;
    }
  }

  async #inspect(fd: number, file: HeldFile): Promise<Opening> {
    const stat = await fstat(fd);
    this.kind.check(this.filename, stat);
    const size = await this.kind.size(fd, stat);
    const alignment = this.#context.options.direct ? await directAlignment(fd) : 1;
    const blockSize = isBlockDevice(stat) ? (await blockDeviceGeometry(fd)).logicalBlockSize : alignment;
    return { file, stat, size, alignment, blockSize, fileSystem: await fsType(fd) };
  }
}

/** A node on a file: one fd at a time. */
export class FilePosixNode extends ProtocolNode {
  readonly io: PosixIo;
  readonly limits: IoLimits;
  /** The magic number of the file system, as statfs(2) lists them. */
  readonly fileSystem: number;
  readonly #context: OpenContext;
  readonly #given: BlockdevOptions;
  readonly #source: FileSource;
  readonly #stat: FileStatus;
  #size: number;
  #flags: number;
  #locks: ImageLocks;
  /** The last change of permissions; the next one begins when it is done. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;
  #actualSize: number | undefined;
  #measuring: Promise<void> | undefined;

  constructor(
    context: OpenContext,
    given: BlockdevOptions,
    source: FileSource,
    { file, stat, size, alignment, blockSize, fileSystem }: Opening,
    flags: number,
  ) {
    super(context);
    this.#context = context;
    this.#given = given;
    this.#source = source;
    this.#stat = stat;
    this.#size = size;
    this.#flags = flags;
    this.#locks = new ImageLocks(file);
    this.fileSystem = fileSystem;
    this.limits = {
      requestAlignment: blockSize,
      optimalTransfer: Math.max(4096, blockSize),
      maxTransfer: mostTransfer,
    };
    this.io = new PosixIo(file, {
      storage: source.kind.storage(stat),
      alignment,
      noFlush: context.options.noFlush,
      requestsPerNode: context.limits.requestsPerNode,
      length: () => this.length,
    });
  }

  /** A file whose last sector is not whole reads as if zeros followed. */
  get length(): number {
    return roundUpToSector(this.#size);
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
    if (!isBlockDevice(this.#stat)) this.#size = length;
  }

  async adapt(undo: () => void): Promise<void> {
    const { patience, limits } = this.#context;
    const turn = this.#turn.then(() => this.#adaptNow(undo));
    this.#turn = turn.catch(() => undefined);
    await patience.wait(turn, {
      timeoutMs: limits.openTimeoutMs,
      late: () => undefined,
      timedOut: () => noAnswer(this.#source.filename, limits.openTimeoutMs),
    });
  }

  close(): NodeClosing {
    this.#closed = true;
    this.io.abandonAll();
    const hung = this.io.inFlight;
    const { file } = this.io;
    if (hung > 0) this.#context.patience.giveUp(file.closed, hung);
    void this.#turn.then(() => this.#locks.release()).then(() => this.io.file.retire());
    return { closed: file.closed, hung };
  }

  async #adaptNow(undo: () => void): Promise<void> {
    if (this.#closed) return;
    const claim = combineClaims(this.parents.map((edge) => edge.claim));
    const locked: PermissionClaim = this.#usesLocks ? claim : combineClaims([]);
    try {
      const next = await this.#reopenFor(claim);
      await this.#lock(locked, next);
    } catch (error) {
      undo();
      throw error;
    }
  }

  get #usesLocks(): boolean {
    return this.#given.locking !== 'off';
  }

  /**
   * The file opened anew where the claim needs another mode. A writer that cannot have it is refused; a file that cannot
   * be opened for reading any more stays as it is, fit for writers to come.
   */
  async #reopenFor(claim: PermissionClaim): Promise<{ file: HeldFile; flags: number } | undefined> {
    const flags = this.#source.flagsFor(isWriter(claim.permissions));
    if (flags === this.#flags) return undefined;
    try {
      const { file, stat } = await this.#source.open(flags);
      if (isSameFile(stat, this.#stat)) return { file, flags };
      file.retire();
      throw new FdsetError(
        'ERR_FDSET_OPEN',
        `Could not open '${this.#source.filename}': it is not the file that the node was opened with`,
      );
    } catch (error) {
      if (isWriter(claim.permissions)) throw error;
      return undefined;
    }
  }

  async #lock(claim: PermissionClaim, next: { file: HeldFile; flags: number } | undefined): Promise<void> {
    const old = this.io.file;
    const nextLocks = next === undefined ? undefined : new ImageLocks(next.file);
    try {
      await this.#locks.acquire(claim);
      await nextLocks?.copy(claim);
    } catch (error) {
      await nextLocks?.release();
      next?.file.retire();
      throw error;
    }
    if (next === undefined || nextLocks === undefined) {
      await this.#locks.release(claim);
      return;
    }
    await this.#locks.release();
    this.io.file = next.file;
    this.#flags = next.flags;
    this.#locks = nextLocks;
    old.retire();
  }

  async #measure(): Promise<void> {
    try {
      const { blocks } = await this.io.file.use(fstat);
      this.#actualSize = blocks * 512;
    } catch {
      // What was known before stays.
    }
  }
}

/** 512 where the file says that it cannot do direct I/O: it was opened with O_DIRECT, so something does. */
async function directAlignment(fd: number): Promise<number> {
  const { offset } = await directIoAlignment(fd);
  return offset > 0 ? offset : 512;
}

function isSameFile(one: FileStatus, other: FileStatus): boolean {
  return isBlockDevice(one) ? one.rdev === other.rdev : one.dev === other.dev && one.ino === other.ino;
}

function noAnswer(filename: string, timeoutMs: number): FdsetError {
  return new FdsetError('ERR_FDSET_NO_ANSWER', `Could not open '${filename}': no answer within ${timeoutMs / 1000} s`);
}

function sizeError(error: SystemError): FdsetError {
  return new FdsetError('ERR_FDSET_OPEN', `Could not refresh total sector count: ${strerror(error.errno)}`, {
    cause: error,
  });
}
