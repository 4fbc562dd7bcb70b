// How does a node on a file get its fd? In bounded time, with the flags that its options and users ask for, and with what
// has to be known before the first request.
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
import type { ImageFacts } from '../node.ts';
import { fileHolder } from '../open-file.ts';
import type { NodeOptions } from '../options.ts';
import { InlineIo } from './inline-io.ts';
import type { IoFile, Storage } from './posix-io.ts';

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

/** An open file and what was found out about it; the receiver retires it. */
export interface Opening extends IoFile {
  /** The open(2) flags that were asked for. */
  readonly flags: number;
  readonly stat: FileStatus;
  readonly size: number;
  /** What requests should be aligned to, in bytes. */
  readonly blockSize: number;
  /** The magic number of the file system, as statfs(2) lists them. */
  readonly fileSystem: number;
}

const fileTypeMask = 0o170000;
const blockDeviceType = 0o060000;

/** Whether `stat` is of a block device. */
export function isBlockDevice(stat: FileStatus): boolean {
  return (stat.mode & fileTypeMask) === blockDeviceType;
}

/** The flags of open(2) that a node asks for with and without a writer. Source: fdset.md §7. */
export function openFlags({ readOnly, autoReadOnly, direct }: NodeOptions, hasWriter: boolean): number {
  const mode = readOnly || (autoReadOnly && !hasWriter) ? O.O_RDONLY : O.O_RDWR;
  return mode | (direct ? O.O_DIRECT : 0);
}

/** Opens the file of one node, as often as the node asks. */
export class FileSource {
  readonly filename: string;
  readonly kind: FileKind;
  readonly #context: OpenContext;
  #first: FileStatus | undefined;

  constructor(context: OpenContext, filename: string, kind: FileKind) {
    this.filename = filename;
    this.kind = kind;
    this.#context = context;
  }

  /**
   * Opens the file; again, it has to be the same one.
   * @throws FdsetError with QEMU's text, or after `openTimeoutMs` that the file does not answer
   */
  async open(flags: number): Promise<Opening> {
    const { patience, limits } = this.#context;
    patience.checkRoom(`Could not open '${this.filename}'`);
    return patience.wait(this.#open(flags), {
      timeoutMs: limits.openTimeoutMs,
      late: (opening) => opening.file.retire(),
      timedOut: () => this.noAnswer(),
    });
  }

  /** What to tell somebody who has waited for `openTimeoutMs`. */
  noAnswer(): FdsetError {
    const seconds = this.#context.limits.openTimeoutMs / 1000;
    return new FdsetError('ERR_FDSET_NO_ANSWER', `Could not open '${this.filename}': no answer within ${seconds} s`);
  }

  async #open(flags: number): Promise<Opening> {
    const opened = await this.#context.openFile(this.filename, flags, fileHolder(this.#context.nodeName));
    const file = new HeldFile(opened);
    try {
      return await file.use((fd) => this.#inspect(fd, file, flags));
    } catch (error) {
      file.retire();
      throw error instanceof SystemError ? sizeError(error) : error;
    }
  }

  async #inspect(fd: number, file: HeldFile, flags: number): Promise<Opening> {
    const stat = await fstat(fd);
    if (this.#first !== undefined && !isSameFile(stat, this.#first)) throw this.#notTheSame();
    this.kind.check(this.filename, stat);
    this.#first ??= stat;
    const size = await this.kind.size(fd, stat);
    const alignment = (flags & O.O_DIRECT) === 0 ? 1 : await directAlignment(fd);
    const blockSize = isBlockDevice(stat) ? (await blockDeviceGeometry(fd)).logicalBlockSize : alignment;
    const fileSystem = await fsType(fd);
    const inline = InlineIo.for(stat, fileSystem, alignment !== 1);
    return { file, flags, stat, size, alignment, blockSize, fileSystem, inline };
  }

  #notTheSame(): FdsetError {
    return new FdsetError(
      'ERR_FDSET_OPEN',
      `Could not open '${this.filename}': it is not the file that the node was opened with`,
    );
  }
}

function isSameFile(one: FileStatus, other: FileStatus): boolean {
  return isBlockDevice(one) ? one.rdev === other.rdev : one.dev === other.dev && one.ino === other.ino;
}

/** 512 where the file says that it cannot do direct I/O: it was opened with O_DIRECT, so something does. */
async function directAlignment(fd: number): Promise<number> {
  const { offset } = await directIoAlignment(fd);
  return offset > 0 ? offset : 512;
}

function sizeError(error: SystemError): FdsetError {
  const message = `Could not refresh total sector count: ${strerror(error.errno)}`;
  return new FdsetError('ERR_FDSET_OPEN', message, { cause: error });
}
