// A file that hangs, fails or comes up short when a test says so: test/fixtures/fuse-file.c, built with cc when needed.
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The requests to the file that can be told to misbehave. */
export type FuseOperation = 'open' | 'getattr' | 'read' | 'write' | 'fsync' | 'flush' | 'fallocate';

/** What becomes of a request: served, kept without an answer, failed with an errno, or served in parts of N bytes. */
export type FuseBehaviour = 'ok' | 'hang' | `error ${number}` | `short ${number}`;

/** Why a FUSE file cannot be mounted here, or false where it can: for node:test's `skip`. */
export function fuseSkipReason(): string | false {
  if (process.platform !== 'linux') return 'needs FUSE, which is Linux';
  if (process.getuid?.() !== 0) return 'needs root, to mount a FUSE file system';
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse';
  if (spawnSync('cc', ['--version']).error !== undefined) return 'needs cc';
  return false;
}

/** A mounted FUSE file of one test. Close it before the fds on it: that ends every request that hangs. */
export class FuseFile {
  /** The file; it opens for reading and writing, with O_DIRECT too. */
  readonly path: string;
  readonly #program: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  private constructor(path: string, program: ChildProcessWithoutNullStreams) {
    this.path = path;
    this.#program = program;
    this.#answers = createInterface(program.stdout)[Symbol.asyncIterator]();
  }

  /** Mounts a file of `size` zeros. */
  static async mount(size: number): Promise<FuseFile> {
    const path = join(mkdtempSync(join(tmpdir(), 'fdset-fuse-')), 'file');
    writeFileSync(path, '');
    const program = spawn(buildFuseFile(), [path, String(size)], { stdio: ['pipe', 'pipe', 'pipe'] });
    const file = new FuseFile(path, program);
    await file.#expect('mounted');
    return file;
  }

  /** Sets what becomes of requests of a kind from now on. */
  async set(operation: FuseOperation, behaviour: FuseBehaviour): Promise<void> {
    this.#program.stdin.write(`${operation} ${behaviour}\n`);
    await this.#expect('ok');
  }

  /** Serves the requests that hang. */
  async release(): Promise<void> {
    this.#program.stdin.write('release\n');
    await this.#expect('ok');
  }

  /** Requests that hang. */
  async kept(): Promise<number> {
    this.#program.stdin.write('kept\n');
    return Number((await this.#answers.next()).value);
  }

  /** Resolves once `count` requests hang; rejects after 5 s. */
  async untilKept(count: number): Promise<void> {
    const deadline = Date.now() + 5000;
    while ((await this.kept()) < count) {
      if (Date.now() > deadline) throw new Error(`fewer than ${count} requests reached the file within 5 s`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Unmounts; requests that hang fail with ECONNABORTED or the like. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#program.once('close', resolve));
    this.#program.stdin.end();
    await ended;
    rmSync(dirname(this.path), { recursive: true });
  }

  async #expect(answer: string): Promise<void> {
    const { value } = await this.#answers.next();
    if (value === answer) return;
    throw new Error(`fuse-file answered ${String(value)}: ${String(this.#program.stderr.read() ?? '')}`);
  }
}

/** The program, built once into build/test/. */
function buildFuseFile(): string {
  const root = packageRoot();
  const source = join(root, 'test', 'fixtures', 'fuse-file.c');
  const program = join(root, 'build', 'test', 'fuse-file');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  const partial = `${program}.${process.pid}`;
  const built = spawnSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-o', partial, source]);
  if (built.status !== 0) throw new Error(`cc failed: ${built.stderr.toString()}`);
  renameSync(partial, program);
  return program;
}

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
