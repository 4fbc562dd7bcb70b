// How does a process with fewer rights start, and how does one give up more? The system calls; which paths and which
// calls are refused is decided by who asks. Sources: landlock(7), seccomp(2), capabilities(7), pidfd_open(2).
import { constants } from 'node:os';

import { FdsetError } from '../errors.ts';
import { loadAddon } from './load.ts';
import { checkResult, errnoName, strerror } from './system-error.ts';

interface SandboxBinding {
  landlockAbi(): number;
  landlockCreateRuleset(handledFs: number, handledNet: number, scoped: number): number;
  landlockAllowPath(ruleset: number, path: string, access: number): number;
  seccompAvailable(): number;
  seccompInstall(program: Uint8Array): number;
  setDumpable(on: boolean): number;
  processRights(): ProcessRights | number;
  opensslFolder(): string | undefined;
  spawn(plan: NativePlan, onExit: (code: number, signal: number) => void): NativeStarted | NativeFailure;
  spawnedKill(watch: unknown, signal: number): number;
  spawnedRef(watch: unknown, on: boolean): void;
}

interface NativePlan {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly probes: readonly string[];
  /** Source, target, source, target …, ascending by target. */
  readonly fds: readonly number[];
  readonly restricted: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly ruleset: number;
  readonly deathSignal: number;
  readonly filter: Uint8Array;
}

interface NativeStarted {
  readonly pid: number;
  readonly watch: unknown;
}

interface NativeFailure {
  readonly step: string;
  readonly index: number;
  readonly errno: number;
}

const binding = loadAddon() as SandboxBinding;
const noFilter = new Uint8Array(0);

/** An fd of this process, lent until the call returns, and the number that it has in the child. */
export interface FdMapping {
  readonly fd: number;
  readonly childFd: number;
}

/** What the child gives up before execve, besides no_new_privs, every capability and core dumps, which always go. */
export interface Restrictions {
  /** Changed to before anything is opened, with no supplementary groups. Without it they stay. Needs root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** A ruleset of {@link createRuleset}; lent until the call returns. */
  readonly landlockRuleset?: number;
  /** A BPF program for seccomp, that must let execve through. */
  readonly seccompFilter?: Uint8Array;
}

/** A process to start. */
export interface SpawnOptions {
  /** Absolute path of the program. */
  readonly file: string;
  /** Without the name of the program itself. */
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** All fds that the child has; 0, 1 and 2 belong to them. Everything else is closed by execve. */
  readonly fds: readonly FdMapping[];
  /** Default: the folder of this process. */
  readonly cwd?: string;
  /** Paths that the child opens for reading, as the user it becomes, before it gives up anything else. */
  readonly probes?: readonly string[];
  /** Default: none, and the same start in every other respect. */
  readonly restrictions?: Restrictions;
}

/** How a process ended: one of the two is null. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child of this process. It leads a session of its own and gets SIGTERM when this process dies. */
export interface SpawnedProcess {
  readonly pid: number;
  /** Settles when the child has ended and is reaped; never rejects. Keeps the event loop alive, see `unref`. */
  readonly exit: Promise<ExitStatus>;
  /**
   * Sends a signal, to this child for certain, never to a later process with its number.
   * @returns false where it has ended.
   * @throws SystemError `pidfd_send_signal`.
   */
  kill(signal: NodeJS.Signals): boolean;
  ref(): void;
  unref(): void;
}

/** A process could not be started: which step failed, with which errno, at which path. */
export class SpawnError extends FdsetError {
  /** Name of the system call, such as `execve`; `open` is one of the probes. */
  readonly step: string;
  readonly errno: number;
  readonly errnoName: string;
  /** What could not be opened or executed. */
  readonly path: string | undefined;

  constructor(step: string, errno: number, path: string | undefined, file: string) {
    const where = path === undefined ? step : `${step} ${path}`;
    super('ERR_FDSET_SPAWN', `cannot start ${file}: ${where}: ${strerror(errno)}`);
    this.step = step;
    this.errno = errno;
    this.errnoName = errnoName(errno);
    this.path = path;
  }
}

/**
 * Starts a process with exactly the given fds, and without the rights that `restrictions` take from it. Returns when
 * the child has reached its program: every failure before that is thrown here.
 *
 * Only the main thread may call it: the kernel ties the child's life to the thread that started it.
 * @throws SpawnError
 */
export function spawnSandboxed(options: SpawnOptions): SpawnedProcess {
  const probes = options.probes ?? [];
  let settle: (status: ExitStatus) => void;
  const exit = new Promise<ExitStatus>((resolve) => {
    settle = resolve;
  });
  const result = binding.spawn(nativePlan(options, probes), (code, signal) => settle(exitStatus(code, signal)));
  if ('errno' in result) {
    const path = result.step === 'execve' ? options.file : result.step === 'open' ? probes[result.index] : undefined;
    throw new SpawnError(result.step, result.errno, path, options.file);
  }
  const { pid, watch } = result;
  return {
    pid,
    exit,
    kill: (signal) => sendSignal(watch, constants.signals[signal]),
    ref: () => binding.spawnedRef(watch, true),
    unref: () => binding.spawnedRef(watch, false),
  };
}

function nativePlan(options: SpawnOptions, probes: readonly string[]): NativePlan {
  const { restrictions } = options;
  return {
    file: options.file,
    args: [options.file, ...options.args].map(checkText),
    env: Object.entries(options.env).map(([name, value]) => checkText(`${name}=${value}`)),
    cwd: options.cwd,
    probes,
    fds: sortedFds(options.fds),
    restricted: restrictions !== undefined,
    uid: restrictions?.user?.uid ?? -1,
    gid: restrictions?.user?.gid ?? -1,
    ruleset: restrictions?.landlockRuleset ?? -1,
    deathSignal: constants.signals.SIGTERM,
    filter: restrictions?.seccompFilter ?? noFilter,
  };
}

/** C ends a string at the first NUL: a longer one would arrive as another. */
function checkText(text: string): string {
  if (text.includes('\0')) throw new TypeError('an argument or environment variable contains a NUL');
  return text;
}

function sortedFds(fds: readonly FdMapping[]): number[] {
  const sorted = fds.toSorted((a, b) => a.childFd - b.childFd);
  const targets = new Set(sorted.map(({ childFd }) => childFd));
  if (targets.size !== sorted.length) throw new TypeError('two fds are mapped to one number');
  if (![0, 1, 2].every((fd) => targets.has(fd))) throw new TypeError('fds 0, 1 and 2 must be mapped');
  return sorted.flatMap(({ fd, childFd }) => [fd, childFd]);
}

function exitStatus(code: number, signal: number): ExitStatus {
  if (code >= 0) return { code, signal: null };
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return { code: null, signal: names.find(([, number]) => number === signal)?.[0] ?? 'SIGKILL' };
}

function sendSignal(watch: unknown, signal: number): boolean {
  const result = binding.spawnedKill(watch, signal);
  if (-result === constants.errno.ESRCH) return false;
  checkResult(result, 'pidfd_send_signal');
  return true;
}

/** The Landlock ABI of the running kernel, 0 where there is none. */
export function landlockAbi(): number {
  return Math.max(0, binding.landlockAbi());
}

/**
 * A Landlock ruleset that refuses what it handles, except where {@link allowPath} adds a rule. Bits as in landlock(7).
 * @returns its fd, close-on-exec, owned by the caller.
 * @throws SystemError `landlock_create_ruleset`: EINVAL where the running ABI does not know one of the bits.
 */
export function createRuleset(handledFs: number, handledNet: number, scoped: number): number {
  return checkResult(binding.landlockCreateRuleset(handledFs, handledNet, scoped), 'landlock_create_ruleset');
}

/**
 * Allows `access` to the file, or beneath the folder, that the path leads to now.
 * @throws SystemError: ENOENT; EINVAL where a right for folders is given to a file.
 */
export function allowPath(ruleset: number, path: string, access: number): void {
  checkResult(binding.landlockAllowPath(ruleset, path, access), 'landlock_add_rule');
}

/** Can this kernel filter system calls? */
export function seccompAvailable(): boolean {
  return binding.seccompAvailable() === 0;
}

/**
 * Puts a seccomp filter on every thread of this process and on all that it starts. There is no way back.
 * @throws SystemError `seccomp`: EACCES without no_new_privs, EINVAL for a bad program; FdsetError where a thread has
 * another filter already.
 */
export function installSeccompFilter(program: Uint8Array): void {
  const result = checkResult(binding.seccompInstall(program), 'seccomp');
  if (result !== 0) throw new FdsetError('ERR_FDSET_SANDBOX', `the seccomp filter did not reach thread ${result}`);
}

/** Whether others under the same uid may trace this process, and whether it may dump core. */
export function setDumpable(on: boolean): void {
  checkResult(binding.setDumpable(on), 'prctl');
}

/** What a thread may do, as the kernel says. Capability sets are bit masks. */
export interface ProcessRights {
  readonly permitted: number;
  readonly effective: number;
  readonly inheritable: number;
  /** 1: execve gives no rights. */
  readonly noNewPrivs: number;
  /** 2: a filter is installed. */
  readonly seccompMode: number;
  readonly dumpable: number;
}

/** The rights of the calling thread. */
export function processRights(): ProcessRights {
  const rights = binding.processRights();
  if (typeof rights !== 'number') return rights;
  checkResult(rights, 'capget');
  throw new TypeError('unreachable: capget does not return a number but an error');
}

/** The folder that OpenSSL's configuration was built in as, such as `/etc/ssl`; undefined where Node does not say. */
export function opensslFolder(): string | undefined {
  return /^OPENSSLDIR: "(\/.*)"$/.exec(binding.opensslFolder() ?? '')?.[1];
}
