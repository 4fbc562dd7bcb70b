import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { landlockAbi, seccompAvailable } from '../../src/addon/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { attackProcesses, type AttackKind, type AttackRun } from './attack-processes.ts';
import { rawSyscallAddon, type Outcome } from './attacks.ts';

checkOpenFds();

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const isRoot = process.getuid!() === 0;
const cc = process.env['CC'] ?? 'cc';
const skip =
  spawnSync(cc, ['--version']).status !== 0
    ? 'needs a C compiler'
    : landlockAbi() < 3 || !seccompAvailable()
      ? 'needs Landlock ABI 3 and seccomp'
      : false;

function buildRawSyscalls(): void {
  const source = join(root, 'test', 'daemon', 'raw-syscall.c');
  const headers = (createRequire(import.meta.url)('node-api-headers') as { include_dir: string }).include_dir;
  const partial = `${rawSyscallAddon}.${process.pid}`;
  execFileSync(cc, ['-shared', '-fPIC', `-I${headers}`, '-DNAPI_VERSION=9', '-o', partial, source]);
  renameSync(partial, rawSyscallAddon);
}

/** A copy of what the daemon runs from, since a checkout may lie where only its owner may go. Modes are octal. */
function copyOfProgram(mode: number): string {
  const folder = mkdtempSync(join(temporaryFolder(), 'fdset-sandbox-'));
  for (const name of ['dist', 'build/release', 'package.json']) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  for (const name of ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })]) {
    const path = join(folder, name);
    chmodSync(path, statSync(path).isDirectory() ? mode : mode & 0o666);
  }
  return folder;
}

/** The folder for temporary files, or another where TMPDIR is somebody's own. */
function temporaryFolder(): string {
  const own = tmpdir();
  if (!isRoot) return own;
  const enter = (folder: string): number | null =>
    spawnSync(asUser[0]!, [...asUser.slice(1), 'test', '-x', folder]).status;
  return [own, '/tmp', '/var/tmp'].find((folder) => existsSync(folder) && enter(folder) === 0) ?? own;
}

const scriptIn = (folder: string): string => join(folder, relative(root, attackProcesses));

/** A copy that everybody may read. */
let program = '';

function attack(mode: string, kind: AttackKind, prefix: readonly string[] = [], script = scriptIn(program)): AttackRun {
  const [file, ...args] = [...prefix, process.execPath, script, 'starter', mode, kind];
  const options = { encoding: 'utf8', timeout: 60_000, cwd: '/' } as const;
  const { stdout, stderr, status } = spawnSync(file, args, options);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as AttackRun;
}

const asUser = ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'];
const noUser = !isRoot && 'needs root, to become an ordinary user';

function setting(name: string): number {
  const path = join('/proc/sys/kernel', name);
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
}

/** What fails without a sandbox too, since the kernel has no such thing or this system has switched it off. */
function impossible(asRoot: boolean): string[] {
  const traced = setting('yama/ptrace_scope') > (asRoot ? 2 : 0) ? ['ptrace', 'process_vm_readv'] : [];
  const rings = setting('io_uring_disabled') > (asRoot ? 1 : 0) ? ['io_uring_setup'] : [];
  return [...traced, ...rings, 'an x32 call', 'an unknown call'];
}

const withOutcome = (outcomes: Record<string, Outcome>, wanted: (outcome: Outcome) => boolean): string[] =>
  Object.keys(outcomes).filter((name) => wanted(outcomes[name]!));

const allowed = ['a pair of stream sockets (allowed)', 'own limits (allowed)'];
const libraryAttacks = ['worker: load a library', 'load a library'];

/** Every attack is refused with EACCES, but for those whose errno the dynamic loader or the kernel chooses. */
function assertAllRefused({ outcomes }: AttackRun): void {
  assert.deepEqual(
    withOutcome(outcomes, (outcome) => outcome === 'done'),
    allowed,
  );
  assert.deepEqual(
    withOutcome(outcomes, (outcome) => outcome !== 'done' && outcome !== 'EACCES').sort(),
    [...libraryAttacks, 'an unknown call'].sort(),
  );
}

describe('a daemon that somebody has taken over', { skip }, () => {
  before(() => {
    buildRawSyscalls();
    program = copyOfProgram(0o755);
  });
  after(() => rmSync(program, { recursive: true }));

  test('does all of it without a sandbox, so that the attacks are known to work', () => {
    const { outcomes, exit } = attack('off', 'all');
    const failed = withOutcome(outcomes, (outcome) => outcome !== 'done');
    assert.deepEqual(failed, impossible(isRoot));
    assert.deepEqual(exit, { code: 0, signal: null });
  });

  test('can do nothing of it in the sandbox', () => {
    const run = attack('on', 'all');
    assertAllRefused(run);
    assert.deepEqual(run.exit, { code: 0, signal: null });
    assert.equal(run.report?.uid, isRoot ? 65534 : process.getuid!());
    assert.deepEqual(run.report?.missing, []);
  });

  test('could do all of it as an ordinary user too', { skip: noUser }, () => {
    const { outcomes } = attack('off', 'all', asUser);
    const failed = withOutcome(outcomes, (outcome) => outcome !== 'done');
    assert.deepEqual(failed, impossible(false));
  });

  test('can do nothing of it in the sandbox of an ordinary user, whose uid stays', { skip: noUser }, () => {
    const run = attack('on', 'all', asUser);
    assertAllRefused(run);
    assert.equal(run.report?.uid, 1000);
    assert.equal(run.report.capabilities, 'none');
    assert.deepEqual(run.report.missing, []);
  });

  test('finds every call of the lists refused', () => {
    const { outcomes } = attack('on', 'every-call');
    assert.ok(Object.keys(outcomes).length > 100);
    assert.deepEqual(
      withOutcome(outcomes, (outcome) => outcome !== 'EACCES'),
      [],
    );
  });

  test('could not have opened, changed or started anything before it closed the doors itself', () => {
    const { outcomes } = attack('on', 'at-start');
    const asPath = ['worker: open as a path', 'pool: open as a path', 'io pool: open as a path', 'open as a path'];
    const open = [...asPath, 'let others trace me', 'survive the starter', ...allowed];
    if (!isRoot) open.push('limits of the starter');
    assert.deepEqual(withOutcome(outcomes, (outcome) => outcome === 'done').sort(), open.sort());
  });

  test('stays root without any capability where nobody cannot read the program', { skip: noUser }, () => {
    const folder = copyOfProgram(0o700);
    try {
      const run = attack('on', 'all', [], scriptIn(folder));
      assertAllRefused(run);
      assert.equal(run.report?.uid, 0);
      assert.equal(run.report.capabilities, 'none');
      assert.match(run.report.missing.join(), /^uid 0 stays, since uid 65534 is refused .* \(EACCES\)$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
