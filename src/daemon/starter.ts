// How does the storage daemon begin without the right to open anything? The starter prepares the first layer of the
// sandbox, starts Node in it with the fds that it hands on, and waits for the daemon's word. The second layer is
// sandbox.ts, inside the daemon. Design and threat model: SECURITY.md.
import { closeSync, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';

import {
  SpawnError,
  closeFd,
  landlockAbi,
  pipe,
  seccompAvailable,
  spawnSandboxed,
  type ExitStatus,
  type FdMapping,
  type SpawnOptions,
  type SpawnedProcess,
} from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { newestAbi, programRuleset } from './landlock.ts';
import { programFiles, type ProgramFiles } from './program-files.ts';
import { orderVariable, type SandboxMode, type SandboxOrder, type StarterWord } from './sandbox-order.ts';
import type { SandboxReport } from './sandbox-report.ts';
import { encodeFilter, filterArch, seccompFilter } from './seccomp-filter.ts';
import { relayToTerminal } from './terminal-relay.ts';

/** Landlock from ABI 3 on refuses truncate() too: what `--sandbox on` insists on. */
const requiredAbi = 3;
/** `nobody` and `nogroup`, by number: no user database is asked. */
const nobody = { uid: 65534, gid: 65534 } as const;

/** A daemon to start. All fds are borrowed: the caller may close them when the call returns. */
export interface DaemonStart {
  readonly mode: SandboxMode;
  /** The daemon's module: a file of this package, absolute. */
  readonly script: string;
  readonly args: readonly string[];
  /** Handed on, with numbers from 3 up. */
  readonly fds: readonly FdMapping[];
  /** Borrowed; default /dev/null. */
  readonly stdin?: number | undefined;
  /** Default: 1 and 2 of this process. A terminal is not handed on but written to by this process. */
  readonly stdout?: number;
  readonly stderr?: number;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
}

/** A daemon that runs; it ends with this process. */
export interface StartedDaemon {
  readonly pid: number;
  /**
   * The report of the sandbox, once the daemon serves.
   * Rejects with FdsetError `ERR_FDSET_DAEMON_START` where the daemon said why not, or ended without a word.
   */
  readonly ready: Promise<SandboxReport>;
  readonly exit: Promise<ExitStatus>;
  kill(signal: NodeJS.Signals): boolean;
}

/**
 * Starts the daemon. What it may not do is settled before its first instruction.
 * @throws FdsetError `ERR_FDSET_SANDBOX` where `on` asks for what this system lacks; SpawnError.
 */
export function startDaemon(start: DaemonStart): StartedDaemon {
  const opened: number[] = [];
  const open = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const output = (fd: number): number => (isatty(fd) ? open(relayToTerminal(fd)) : fd);
  const [reading, writing] = pipe();
  open(writing);
  try {
    const reportFd = Math.max(2, ...start.fds.map(({ childFd }) => childFd)) + 1;
    const fds = [
      { fd: start.stdin ?? open(openSync('/dev/null', 'r')), childFd: 0 },
      { fd: output(start.stdout ?? 1), childFd: 1 },
      { fd: output(start.stderr ?? 2), childFd: 2 },
      ...start.fds,
      { fd: writing, childFd: reportFd },
    ];
    const child = spawnDaemon(start, fds, protections(start.mode), reportFd);
    return {
      pid: child.pid,
      exit: child.exit,
      kill: (signal) => child.kill(signal),
      ready: hearDaemon(reading, child),
    };
  } catch (error) {
    closeFd(reading);
    throw error;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** Which protections a mode gets on this system. */
interface Protections {
  readonly landlockAbi: number;
  readonly seccomp: boolean;
  readonly missing: readonly string[];
}

/**
 * What this system has of what the mode wants.
 * @throws FdsetError `ERR_FDSET_SANDBOX`: `on`, and something is missing; names the way out.
 */
export function protections(mode: SandboxMode, has = systemProtections()): Protections {
  if (mode === 'off') return { landlockAbi: 0, seccomp: false, missing: [] };
  const missing: string[] = [];
  if (has.landlockAbi === 0) missing.push('this kernel has no Landlock');
  else if (has.landlockAbi < requiredAbi) {
    missing.push(`this kernel has Landlock ABI ${has.landlockAbi}, less than ABI ${requiredAbi}`);
  }
  if (!has.seccomp) missing.push('this system has no seccomp filters that fdset knows');
  if (mode === 'on' && missing.length > 0) {
    const reasons = missing.join(', ');
    const wayOut = 'use --sandbox try to run with the protections that there are';
    throw new FdsetError('ERR_FDSET_SANDBOX', `the sandbox cannot be closed: ${reasons}: ${wayOut}`);
  }
  return { ...has, missing };
}

function systemProtections(): Omit<Protections, 'missing'> {
  return { landlockAbi: Math.min(landlockAbi(), newestAbi), seccomp: filterArch() !== undefined && seccompAvailable() };
}

function spawnDaemon(
  start: DaemonStart,
  fds: readonly FdMapping[],
  has: Protections,
  reportFd: number,
): SpawnedProcess {
  const files = programFiles();
  const probe = publicFile();
  const handedOn = start.fds.map(({ childFd }) => childFd);
  const base = { ...has, mode: start.mode, probe, fds: handedOn, reportFd };
  const spawn = (order: SandboxOrder, restrictions: SpawnOptions['restrictions']): SpawnedProcess =>
    spawnSandboxed({
      file: process.execPath,
      args: [...(start.nodeArgs ?? []), start.script, ...start.args],
      env: daemonEnvironment(order),
      fds,
      ...(restrictions === undefined ? {} : { cwd: '/', probes: probesOf(files, probe), restrictions }),
    });
  if (start.mode === 'off') return spawn(base, undefined);

  const ruleset = has.landlockAbi > 0 ? programRuleset(has.landlockAbi, files) : undefined;
  const restrictions = {
    ...(ruleset === undefined ? {} : { landlockRuleset: ruleset }),
    ...(has.seccomp ? { seccompFilter: startFilter() } : {}),
  };
  try {
    if (process.getuid!() !== 0) return spawn(base, restrictions);
    return spawnAsNobody(base, restrictions, spawn);
  } finally {
    if (ruleset !== undefined) closeFd(ruleset);
  }
}

/** Root becomes nobody; where nobody cannot run the program, root stays without any capability, and it is said. */
function spawnAsNobody(
  base: SandboxOrder,
  restrictions: NonNullable<SpawnOptions['restrictions']>,
  spawn: (order: SandboxOrder, restrictions: NonNullable<SpawnOptions['restrictions']>) => SpawnedProcess,
): SpawnedProcess {
  try {
    return spawn(base, { ...restrictions, user: nobody });
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    const what = error.path ?? error.step;
    const sentence = `uid 0 stays, since uid ${nobody.uid} is refused ${what} (${error.errnoName})`;
    return spawn({ ...base, missing: [...base.missing, sentence] }, restrictions);
  }
}

function startFilter(): Uint8Array {
  const arch = filterArch();
  return arch === undefined ? new Uint8Array(0) : encodeFilter(seccompFilter(arch, { stage: 'start' }));
}

function probesOf(files: ProgramFiles, probe: string): string[] {
  return [...files.execute, ...files.read, probe];
}

/** A file that every user may read and that is none of the program's: for the self-test. */
function publicFile(): string {
  const candidates = ['/etc/passwd', '/etc/group', '/etc/hosts', '/etc/os-release'];
  // Everyone may at least list the root folder.
  return candidates.find((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0) ?? '/';
}

/**
 * Nothing is inherited but what the same Node needs to find the same libraries: NODE_OPTIONS could bring in code.
 * Landlock lets in only libraries that this process has loaded itself.
 */
const inheritedVariables = [
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'OPENSSL_CONF',
  'OPENSSL_MODULES',
  'UV_THREADPOOL_SIZE',
  'FDSET_ADDON',
];

function daemonEnvironment(order: SandboxOrder): Record<string, string> {
  const environment: Record<string, string> = {
    // The daemon cannot read /etc/localtime.
    TZ: process.env['TZ'] ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    [orderVariable]: JSON.stringify(order),
  };
  for (const name of inheritedVariables) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** Owns `reading`. */
function hearDaemon(reading: number, child: SpawnedProcess): Promise<SandboxReport> {
  const socket = new Socket({ fd: reading, readable: true, writable: false });
  const ready = (async () => {
    let text = '';
    socket.setEncoding('utf8');
    for await (const part of socket as AsyncIterable<string>) text += part;
    // A word without its end is that of a daemon that was killed while it spoke.
    if (text.endsWith('\n')) {
      const word = JSON.parse(text) as StarterWord;
      if ('ready' in word) return word.ready;
      throw new FdsetError('ERR_FDSET_DAEMON_START', word.error);
    }
    const { code, signal } = await child.exit;
    const how = code === null ? `was killed by ${signal}` : `ended with code ${code}`;
    throw new FdsetError('ERR_FDSET_DAEMON_START', `the daemon ${how} before it was ready`);
  })();
  // Who only waits for the exit must not be ended by an unhandled rejection.
  ready.catch(() => {});
  return ready;
}
